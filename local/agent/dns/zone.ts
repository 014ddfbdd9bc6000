import type { EndpointSlice, Service } from '../../client/objects.ts';
import type { Reflector } from '../../client/reflector.ts';
import { reverseName } from './addresses.ts';
import { type ServiceView, serviceView, type Zone } from './records.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';

/** Builds views of Services when they are asked for, and forgets those that a change touches. */
export function liveZone(
  services: Reflector<Service>,
  slices: Reflector<EndpointSlice>,
  domain: string,
  reverseZones: readonly string[],
): Zone {
  const slicesOf = new Map<string, Map<string, EndpointSlice>>();
  const views = new Map<string, ServiceView>();
  const namespaces = new Map<string, number>();
  let reverse: Map<string, string> | undefined;

  const forget = (key: string): void => {
    views.delete(key);
    reverse = undefined;
  };
  services.onChange((key, now, before) => {
    forget(key);
    const namespace = (now ?? before)?.metadata.namespace ?? 'default';
    if (before === undefined) namespaces.set(namespace, (namespaces.get(namespace) ?? 0) + 1);
    else if (now === undefined) namespaces.set(namespace, (namespaces.get(namespace) ?? 1) - 1);
  });
  slices.onChange((key, now, before) => {
    for (const slice of [before, now]) {
      const name = slice?.metadata.labels?.[SERVICE_NAME];
      if (slice === undefined || name === undefined) continue;
      const owner = `${slice.metadata.namespace}/${name}`;
      const of = slicesOf.get(owner) ?? new Map<string, EndpointSlice>();
      slicesOf.set(owner, of);
      if (slice === now) of.set(key, slice);
      else of.delete(key);
      if (of.size === 0) slicesOf.delete(owner);
      forget(owner);
    }
  });
  const view = (key: string): ServiceView | undefined => {
    const known = views.get(key);
    if (known !== undefined) return known;
    const service = services.get(key);
    if (service === undefined) return undefined;
    const made = serviceView(service, [...(slicesOf.get(key)?.values() ?? [])]);
    views.set(key, made);
    return made;
  };
  const buildReverse = (): Map<string, string> => {
    const map = new Map<string, string>();
    for (const service of services.list()) {
      const made = view(`${service.metadata.namespace}/${service.metadata.name}`);
      if (made === undefined) continue;
      const base = `${made.name}.${made.namespace}.svc.${domain}`;
      const add = (address: string, name: string): void => {
        const arpa = reverseName(address);
        if (arpa !== undefined) map.set(arpa, name);
      };
      if (made.headless)
        for (const host of made.hosts) for (const address of host.addresses) add(address, `${host.label}.${base}`);
      else for (const address of made.addresses) add(address, base);
    }
    return map;
  };
  return {
    reverseZones,
    service: (namespace, name) => view(`${namespace}/${name}`),
    hasNamespace: (namespace) => (namespaces.get(namespace) ?? 0) > 0,
    reverse: (arpaName) => {
      reverse ??= buildReverse();
      return reverse.get(arpaName);
    },
  };
}
