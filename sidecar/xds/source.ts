import type { ResourceKind, ResourceMap } from '@weft/policies/model/snapshot';
import { type Change, TableSource, type TableSourceOptions } from './table-source.ts';

interface XdsSourceOptions extends TableSourceOptions {
  /** Asks for a resource; called once for each name until it is dropped. */
  readonly subscribe: (kind: ResourceKind, name: string) => void;
  readonly unsubscribe: (kind: ResourceKind, name: string) => void;
  /** Names of one kind; above it the longest known addresses are dropped. */
  readonly namesMax: number;
  /** Sees every change, also of what is dropped, in the order in which they are applied. */
  readonly publish?: ((changes: readonly Change[]) => void) | undefined;
}

/** What other resources a resource needs, so that they are asked for before a request does. */
function dependencies(change: Change): readonly (readonly [ResourceKind, string])[] {
  if (change.entry === undefined || 'absent' in change.entry) return [];
  switch (change.kind) {
    case 'address':
      return change.entry.value.ports.flatMap((port) => [
        ...(port.routeConfiguration === '' ? [] : [['route', port.routeConfiguration] as const]),
        ...(port.cluster === '' || port.cluster.startsWith('weft.dev/') ? [] : [['cluster', port.cluster] as const]),
      ]);
    case 'listener':
      return [...change.entry.value.filterChains, change.entry.value.defaultFilterChain].flatMap((chain) => {
        if (chain === undefined) return [];
        const { terminal } = chain;
        if (terminal.kind === 'tcp') {
          return terminal.clusters
            .filter((cluster) => !cluster.name.startsWith('weft.dev/'))
            .map((cluster) => ['cluster', cluster.name] as const);
        }
        const { route } = terminal;
        if (route.kind === 'inline') return routeClusters(route.config);
        return route.name.startsWith('weft.dev/') ? [] : [['route', route.name] as const];
      });
    case 'route':
      return routeClusters(change.entry.value);
    case 'cluster':
      return change.entry.value.discovery.kind === 'eds'
        ? [['endpoints', change.entry.value.discovery.serviceName]]
        : [];
    case 'endpoints':
    case 'secret':
      return [];
  }
}

function routeClusters(config: ResourceMap['route']): readonly (readonly [ResourceKind, string])[] {
  const names = new Set<string>();
  for (const host of config.virtualHosts) {
    for (const route of host.routes) {
      if (route.action.kind !== 'forward') continue;
      for (const cluster of route.action.clusters) if (cluster.name !== '') names.add(cluster.name);
    }
  }
  return [...names].map((name) => ['cluster', name] as const);
}

/** Configuration by xDS: unknown names are asked for on demand. */
export class XdsSource extends TableSource {
  private readonly asked = new Set<string>();
  private readonly addresses = new Set<string>();
  private readonly options: XdsSourceOptions;

  constructor(options: XdsSourceOptions) {
    super(options);
    this.options = options;
  }

  /** Makes the next snapshot of what changed, then asks for what it newly needs. Returns what went wrong, if anything. */
  apply(changes: readonly Change[]): string | undefined {
    if (changes.length === 0) return undefined;
    this.swap(changes);
    this.options.publish?.(changes);
    for (const change of changes) {
      for (const [kind, name] of dependencies(change)) this.ask(kind, name);
    }
    return this.tell();
  }

  /** What is held of the resources that these changes are about. */
  entriesOf(changes: readonly Change[]): readonly Change[] {
    const tables = this.entries();
    return changes.map(({ kind, name }) => ({ kind, name, entry: tables[kind].get(name) }) as Change);
  }

  /** Goes back to what was held before the changes, where nothing newer has come since. */
  undo(changes: readonly Change[], before: readonly Change[]): void {
    const tables = this.entries();
    this.apply(before.filter(({ kind, name }, i) => tables[kind].get(name) === changes[i]?.entry));
  }

  protected override ask(kind: ResourceKind, name: string): void {
    const key = `${kind} ${name}`;
    if (this.asked.has(key)) return;
    if (kind === 'address') this.makeRoomForAddress(name);
    this.asked.add(key);
    this.options.subscribe(kind, name);
  }

  /** Destinations are chosen by the application, so their number is its choice too: the oldest make room. */
  private makeRoomForAddress(name: string): void {
    if (this.addresses.size >= this.options.namesMax) {
      const [oldest] = this.addresses;
      if (oldest !== undefined) {
        this.options.count('on_demand_address_evicted');
        this.addresses.delete(oldest);
        this.asked.delete(`address ${oldest}`);
        this.options.unsubscribe('address', oldest);
        this.apply([{ kind: 'address', name: oldest, entry: undefined }]);
      }
    }
    this.addresses.add(name);
  }
}
