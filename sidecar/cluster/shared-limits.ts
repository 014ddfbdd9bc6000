import type { Clock } from '@weft/policies/kit/clock';
import type { ClusterLimits } from '@weft/policies/model/cluster';
import type { Recorder } from '../telemetry/record.ts';
import { LimitState, retriesAllowed } from './limits.ts';
import { SLOTS, type Slot, type SlotShare } from './shared-slots.ts';

/**
 * Limits that hold over all data threads. Each publishes what it wants to have, then sums what all have, and takes its
 * own back when that is too much: whoever comes last sees the others, so no bound is exceeded.
 */
export class SharedLimitState extends LimitState {
  private readonly share: SlotShare;

  constructor(limits: ClusterLimits, recorder: Recorder, share: SlotShare, clock?: Clock) {
    super(limits, recorder, clock, share.threads);
    this.share = share;
  }

  override beginRequest(): boolean {
    if (!this.admit(SLOTS.requests, this.requests, this.limits.requestsMax)) {
      return this.refuse('cluster.requests.overflow');
    }
    this.requests++;
    this.meter?.request();
    return true;
  }

  override endRequest(): void {
    this.share.set(SLOTS.requests, --this.requests);
  }

  override beginRetry(): boolean {
    const allowed = retriesAllowed(this.limits, this.share.total(SLOTS.requests));
    if (!this.admit(SLOTS.retries, this.retries, allowed)) return this.refuse('cluster.retries.overflow');
    if (!this.meterRetry()) {
      this.share.set(SLOTS.retries, this.retries);
      return false;
    }
    this.retries++;
    return true;
  }

  override endRetry(): void {
    this.share.set(SLOTS.retries, --this.retries);
  }

  override beginPending(): boolean {
    if (!this.admit(SLOTS.pending, this.pending, this.limits.pendingRequestsMax)) {
      return this.refuse('cluster.pending.overflow');
    }
    this.pending++;
    return true;
  }

  override endPending(): void {
    this.share.set(SLOTS.pending, --this.pending);
  }

  override beginConnection(first: boolean): boolean {
    const max = first ? Number.POSITIVE_INFINITY : this.limits.connectionsMax;
    if (!this.admit(SLOTS.connections, this.connections, max)) return this.refuse('cluster.connections.overflow');
    this.connections++;
    return true;
  }

  override get connectionsFull(): boolean {
    return this.share.total(SLOTS.connections) >= this.limits.connectionsMax;
  }

  override endConnection(): void {
    this.share.set(SLOTS.connections, --this.connections);
  }

  private admit(slot: Slot, own: number, max: number): boolean {
    this.share.set(slot, own + 1);
    if (this.share.total(slot) <= max) return true;
    this.share.set(slot, own);
    return false;
  }
}
