import type { Lookup, ResourceKind, ResourceMap } from '@weft/policies/model/snapshot';
import { type Change, TableSource, type TableSourceOptions } from '../xds/table-source.ts';

interface ReplicaSourceOptions extends TableSourceOptions {
  /** Asks the control thread for a name, which subscribes to it once for all threads. */
  readonly want: (kind: ResourceKind, name: string) => void;
  /** What is not there does not exist: a static bootstrap. */
  readonly complete: boolean;
  /** Names that were asked for and not answered. */
  readonly wantedMax: number;
}

const ABSENT: Lookup<never> = { state: 'absent' };

/** A data thread's copy of the configuration. */
export class ReplicaSource extends TableSource {
  private readonly wanted = new Set<string>();
  private readonly options: ReplicaSourceOptions;

  constructor(options: ReplicaSourceOptions) {
    super(options);
    this.options = options;
  }

  override lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]> {
    const found = super.lookup(kind, name);
    return found.state === 'pending' && this.options.complete ? ABSENT : found;
  }

  /** Returns what went wrong, if anything. */
  apply(changes: readonly Change[]): string | undefined {
    for (const { kind, name } of changes) this.wanted.delete(`${kind} ${name}`);
    this.swap(changes);
    return this.tell();
  }

  protected override ask(kind: ResourceKind, name: string): void {
    if (this.options.complete) return;
    const key = `${kind} ${name}`;
    if (this.wanted.has(key)) return;
    if (this.wanted.size >= this.options.wantedMax) {
      // What the control plane never answers gives way; it may be asked for again.
      const [oldest] = this.wanted;
      if (oldest !== undefined) this.wanted.delete(oldest);
      this.options.count('on_demand_wanted_full');
    }
    this.wanted.add(key);
    this.options.want(kind, name);
  }
}
