/** Which limits there are to lease, to whom, and how much of them. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { OverloadPolicy } from '@weft/policies/crds/kinds';
import type { Clock } from '@weft/policies/kit/clock';
import type { Pod } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { overloadWinners } from '../translate/overload.ts';
import { type Granted, QuotaAllocator } from './allocator.ts';

const LIMITS_MAX = 4_096;
/** Pods are counted anew no oftener. */
const COUNT_MS = 1_000;

interface Known {
  readonly allocator: QuotaAllocator;
  candidates: number;
  countedMs: number;
}

interface Use {
  readonly limit: string;
  readonly demandPerSecond: number;
  readonly leasedPerSecond: number;
}

export class Quotas {
  private readonly state: ClusterState;
  private readonly clock: Clock;
  private readonly startedMs: number;
  private readonly known = new Map<string, Known>();

  constructor(state: ClusterState, clock: Clock) {
    this.state = state;
    this.clock = clock;
    this.startedMs = clock.nowMs();
  }

  /** Undefined: the pod has no such limit. */
  lease(pod: Pod, use: Use): Granted | undefined {
    const policy = overloadWinners(this.state, pod).rateLimits;
    if (policy === undefined) return undefined;
    const spec = policy.spec.rateLimits?.find(
      ({ name, scope }) => scope === 'Global' && `${objectKey(policy.metadata)}/${name}` === use.limit,
    );
    if (spec === undefined) return undefined;
    const nowMs = this.clock.nowMs();
    const known = this.find(use.limit, nowMs);
    if (nowMs - known.countedMs >= COUNT_MS) {
      known.candidates = this.candidatesOf(policy);
      known.countedMs = nowMs;
    }
    const asked = {
      holder: objectKey(pod.metadata),
      demandPerSecond: use.demandPerSecond,
      leasedPerSecond: use.leasedPerSecond,
      limitPerSecond: (spec.requests * 1_000) / acceptedDurationMs(spec.per),
      candidates: known.candidates,
    };
    return known.allocator.ask(asked, nowMs);
  }

  private find(limit: string, nowMs: number): Known {
    const known = this.known.get(limit);
    if (known !== undefined) return known;
    if (this.known.size >= LIMITS_MAX) {
      const oldest = this.known.keys().next();
      if (oldest.done !== true) this.known.delete(oldest.value);
    }
    // A limit that is made later was leased by nobody before.
    const allocator = new QuotaAllocator(this.startedMs);
    const made = { allocator, candidates: 0, countedMs: nowMs - COUNT_MS };
    this.known.set(limit, made);
    return made;
  }

  private candidatesOf(policy: OverloadPolicy): number {
    return this.state.pods
      .by('namespace', policy.metadata.namespace)
      .filter((pod) => pod.meshed && !pod.terminating && !pod.finished)
      .filter((pod) => overloadWinners(this.state, pod).rateLimits === policy).length;
  }
}
