import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';

export const RESOURCE_KINDS: readonly ResourceKind[] = [
  'secret',
  'address',
  'listener',
  'route',
  'cluster',
  'endpoints',
];

/** A value, or the control plane's word that there is none. */
export type Entry<T> = { readonly value: T } | { readonly absent: true };

export type Change = {
  [K in ResourceKind]: { readonly kind: K; readonly name: string; readonly entry: Entry<ResourceMap[K]> | undefined };
}[ResourceKind];

export type Tables = { readonly [K in ResourceKind]: ReadonlyMap<string, Entry<ResourceMap[K]>> };

const emptyTables = (): Tables => ({
  secret: new Map(),
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

export interface TableSourceOptions {
  readonly clock: Clock;
  /** Requests that may wait for configuration at the same time. */
  readonly waitersMax: number;
  readonly count: (event: string) => void;
}

/** Immutable snapshots, swapped by one reference, with a bounded place to wait for what is not known yet. */
export abstract class TableSource implements SnapshotSource {
  private snapshot = new TableSnapshot(0, emptyTables());
  private readonly waiters = new Set<Waiter>();
  private readonly listeners = new Set<(snapshot: Snapshot) => void>();
  private readonly tableOptions: TableSourceOptions;

  constructor(options: TableSourceOptions) {
    this.tableOptions = options;
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
    const { clock, count, waitersMax } = this.tableOptions;
    if (this.waiters.size >= waitersMax) {
      count('on_demand_waiting_full');
      return false;
    }
    const finish = (): void => {
      this.waiters.delete(waiter);
      waiter.cancelTimer();
      done(this.snapshot.get(kind, name));
    };
    const cancelTimer = clock.after(timeoutMs, () => {
      count('on_demand_timeout');
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

  /** How many requests wait for configuration now. */
  get waiting(): number {
    return this.waiters.size;
  }

  entries(): Tables {
    return this.snapshot.tables;
  }

  /** Everything that is known, as the changes that make it. */
  asChanges(): readonly Change[] {
    const { tables } = this.snapshot;
    return RESOURCE_KINDS.flatMap((kind) =>
      [...tables[kind]].map(([name, entry]) => ({ kind, name, entry }) as Change),
    );
  }

  /** Called for a name that nothing is known of; may be called again for the same one. */
  protected abstract ask(kind: ResourceKind, name: string): void;

  /** Makes the next snapshot of what changed. One swap, whatever the number of changes. */
  protected swap(changes: readonly Change[]): void {
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
  }

  /**
   * Tells everybody of the new snapshot. Returns what went wrong: a value that the codec took and a part of the proxy
   * cannot use must be refused like any other bad resource, and not end the process.
   */
  protected tell(): string | undefined {
    let failure: string | undefined;
    for (const listener of this.listeners) {
      try {
        listener(this.snapshot);
      } catch (error) {
        failure ??= errorText(error);
      }
    }
    for (const waiter of this.waiters) {
      if (this.snapshot.get(waiter.kind, waiter.name).state !== 'pending') waiter.notify();
    }
    return failure;
  }
}
