/** Which workloads hold a live certificate under which anchor: what an anchor is kept for. */
import type { Clock } from '@weft/policies/kit/clock';

/** Names of one anchor; beyond them certificates still keep their anchor, and only their names are not told. */
const namesMax = 20_000;
const namesToldMax = 20;

/** What one replica knows of one anchor; small, since it is kept in the Secret. */
export interface LeafSummary {
  /** Until then a certificate that this replica has signed is valid. */
  readonly untilMs: number;
  readonly count: number;
  /** Some of them, in order. */
  readonly names: readonly string[];
}

interface Leaves {
  untilMs: number;
  readonly byName: Map<string, number>;
}

export class LeafLedger {
  readonly counters = { unnamed: 0 };
  private readonly anchors = new Map<string, Leaves>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  record(anchor: string, workload: string, notAfterMs: number): void {
    let leaves = this.anchors.get(anchor);
    if (leaves === undefined) {
      leaves = { untilMs: 0, byName: new Map() };
      this.anchors.set(anchor, leaves);
    }
    leaves.untilMs = Math.max(leaves.untilMs, notAfterMs);
    const known = leaves.byName.get(workload);
    if (known === undefined && leaves.byName.size >= namesMax) {
      this.prune(leaves);
      if (leaves.byName.size >= namesMax) {
        this.counters.unnamed += 1;
        return;
      }
    }
    leaves.byName.set(workload, Math.max(known ?? 0, notAfterMs));
  }

  /** Of every anchor with a live certificate. */
  summaries(): ReadonlyMap<string, LeafSummary> {
    const all = new Map<string, LeafSummary>();
    for (const [anchor, leaves] of this.anchors) {
      this.prune(leaves);
      if (leaves.untilMs <= this.clock.unixMs()) {
        this.anchors.delete(anchor);
        continue;
      }
      const names = [...leaves.byName.keys()].sort().slice(0, namesToldMax);
      all.set(anchor, { untilMs: leaves.untilMs, count: leaves.byName.size, names });
    }
    return all;
  }

  private prune(leaves: Leaves): void {
    const nowMs = this.clock.unixMs();
    for (const [name, notAfterMs] of leaves.byName) if (notAfterMs <= nowMs) leaves.byName.delete(name);
  }
}

/** What all replicas know of one anchor together. */
export function joinSummaries(summaries: readonly (LeafSummary | undefined)[], nowMs: number): LeafSummary {
  let untilMs = 0;
  let count = 0;
  const names = new Set<string>();
  for (const one of summaries) {
    if (one === undefined || one.untilMs <= nowMs) continue;
    untilMs = Math.max(untilMs, one.untilMs);
    count += one.count;
    for (const name of one.names) names.add(name);
  }
  return { untilMs, count, names: [...names].sort().slice(0, namesToldMax) };
}

export function describeLeaves({ count, names }: LeafSummary): string {
  const more = count > names.length ? ` and ${count - names.length} more` : '';
  return names.length === 0 ? 'workloads whose names are not known' : `${names.join(', ')}${more}`;
}
