import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';

export const RESOURCE_KINDS: readonly ResourceKind[] = ['address', 'listener', 'route', 'cluster', 'endpoints'];

/** A value, or the control plane's word that there is none. */
export type Entry<T> = { readonly value: T } | { readonly absent: true };

export type Change = {
  [K in ResourceKind]: { readonly kind: K; readonly name: string; readonly entry: Entry<ResourceMap[K]> | undefined };
}[ResourceKind];

type Tables = { readonly [K in ResourceKind]: ReadonlyMap<string, Entry<ResourceMap[K]>> };

const emptyTables = (): Tables => ({
  address: new Map(),
  listener: new Map(),
  route: new Map(),
  cluster: new Map(),
  endpoints: new Map(),
});

const PENDING: Lookup<never> = { state: 'pending' };
const ABSENT: Lookup<never> = { state: 'absent' };

class TableSnapshot implements Snapshot {
  readonly version: number;
  readonly tables: Tables;

  constructor(version: number, tables: Tables) {
    this.version = version;
    this.tables = tables;
  }

  get<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const entry = (this.tables[kind] as ReadonlyMap<string, Entry<ResourceMap[K]>>).get(name);
    if (entry === undefined) return PENDING;
    return 'absent' in entry ? ABSENT : { state: 'found', value: entry.value };
  }
}

interface Waiter {
  readonly kind: ResourceKind;
  readonly name: string;
  /** Erased so that waiters of all kinds share one list; `notify` looks the value up by kind again. */
  readonly notify: () => void;
  readonly cancelTimer: Cancel;
}

export interface XdsSourceOptions {
  readonly clock: Clock;
  /** Asks for a resource; called once for each name until it is dropped. */
  readonly subscribe: (kind: ResourceKind, name: string) => void;
  readonly unsubscribe: (kind: ResourceKind, name: string) => void;
  /** Requests that may wait for configuration at the same time. */
  readonly waitersMax: number;
  /** Names of one kind; above it the longest known addresses are dropped. */
  readonly namesMax: number;
  readonly count: (event: string) => void;
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

/** Configuration by xDS: immutable snapshots, swapped by one reference; unknown names are asked for on demand. */
export class XdsSource implements SnapshotSource {
  private snapshot = new TableSnapshot(0, emptyTables());
  private readonly asked = new Set<string>();
  private readonly addresses = new Set<string>();
  private readonly waiters = new Set<Waiter>();
  private readonly listeners = new Set<(snapshot: Snapshot) => void>();
  private readonly options: XdsSourceOptions;

  constructor(options: XdsSourceOptions) {
    this.options = options;
  }

  current(): Snapshot {
    return this.snapshot;
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const found = this.snapshot.get(kind, name);
    if (found.state === 'pending') this.ask(kind, name);
    return found;
  }

  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean {
    const known = this.lookup(kind, name);
    if (known.state !== 'pending') {
      done(known);
      return true;
    }
    if (this.waiters.size >= this.options.waitersMax) {
      this.options.count('on_demand_waiting_full');
      return false;
    }
    const finish = (): void => {
      this.waiters.delete(waiter);
      waiter.cancelTimer();
      done(this.snapshot.get(kind, name));
    };
    const cancelTimer = this.options.clock.after(timeoutMs, () => {
      this.options.count('on_demand_timeout');
      finish();
    });
    const waiter: Waiter = { kind, name, notify: finish, cancelTimer };
    this.waiters.add(waiter);
    return true;
  }

  onChange(listener: (snapshot: Snapshot) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Makes the next snapshot of what changed, then asks for what it newly needs. One swap for one response. */
  apply(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    const tables = { ...this.snapshot.tables } as { [K in ResourceKind]: Map<string, Entry<ResourceMap[K]>> };
    const copied = new Set<ResourceKind>();
    for (const change of changes) {
      if (!copied.has(change.kind)) {
        copied.add(change.kind);
        (tables[change.kind] as Map<string, unknown>) = new Map<string, unknown>(tables[change.kind]);
      }
      const table = tables[change.kind] as Map<string, Entry<ResourceMap[ResourceKind]>>;
      if (change.entry === undefined) table.delete(change.name);
      else table.set(change.name, change.entry);
    }
    this.snapshot = new TableSnapshot(this.snapshot.version + 1, tables);
    for (const change of changes) {
      for (const [kind, name] of dependencies(change)) this.ask(kind, name);
    }
    for (const listener of this.listeners) listener(this.snapshot);
    for (const waiter of this.waiters) {
      if (this.snapshot.get(waiter.kind, waiter.name).state !== 'pending') waiter.notify();
    }
  }

  /** How many requests wait for configuration now. */
  get waiting(): number {
    return this.waiters.size;
  }

  entries(): Tables {
    return this.snapshot.tables;
  }

  private ask(kind: ResourceKind, name: string): void {
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
