import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';

type StaticTables = { readonly [K in ResourceKind]: ReadonlyMap<string, ResourceMap[K]> };

/** Configuration that is all there from the start and never changes: nothing is ever pending. */
export class StaticSource implements SnapshotSource, Snapshot {
  readonly version = 1;
  private readonly tables: StaticTables;

  constructor(tables: StaticTables) {
    this.tables = tables;
  }

  current(): Snapshot {
    return this;
  }

  get<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const table: ReadonlyMap<string, ResourceMap[K]> = this.tables[kind];
    const value = table.get(name);
    return value === undefined ? { state: 'absent' } : { state: 'found', value };
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    return this.get(kind, name);
  }

  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    _timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean {
    done(this.get(kind, name));
    return true;
  }

  onChange(): () => void {
    return () => {};
  }
}
