import type { Listener } from '@weft/policies/model/listener';

const named = new WeakMap<Listener, readonly string[]>();

/** Names of the limits of a listener that all pods of the workload share. */
export function globalLimits(listener: Listener): readonly string[] {
  let names = named.get(listener);
  if (names === undefined) {
    const found = new Set<string>();
    for (const { terminal } of [
      ...listener.filterChains,
      ...(listener.defaultFilterChain ? [listener.defaultFilterChain] : []),
    ]) {
      if (terminal.kind !== 'http') continue;
      for (const filter of terminal.filters) {
        if (filter.kind !== 'rateLimits') continue;
        for (const limit of filter.limits) if (limit.global) found.add(limit.name);
      }
    }
    names = [...found];
    named.set(listener, names);
  }
  return names;
}
