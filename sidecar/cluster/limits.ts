import type { Clock } from '@weft/policies/kit/clock';
import type { ClusterLimits } from '@weft/policies/model/cluster';
import type { ProxyError } from '../http/errors.ts';
import type { Recorder } from '../telemetry/record.ts';
import { RetryMeter } from './retry-rate.ts';

const limitNames = {
  'cluster.connections.overflow': 'connections',
  'cluster.pending.overflow': 'pending',
  'cluster.requests.overflow': 'requests',
  'cluster.retries.overflow': 'retries',
  'cluster.retries.rate': 'rate',
} as const;

type LimitEvent = keyof typeof limitNames;

export function overflow(detail: string): ProxyError {
  return { source: 'internal', flag: 'UO', status: 503, retry: 'no', detail };
}

/** With a budget, retries under way may be at most its percentage of the requests under way. */
export function retriesAllowed({ retryBudget, retriesMax }: ClusterLimits, requests: number): number {
  if (retryBudget === undefined) return retriesMax;
  return Math.max(retryBudget.concurrencyMin, Math.floor((retryBudget.percent / 100) * requests));
}

/**
 * What is under way to one cluster, against its limits (Envoy's circuit_breakers.thresholds): connections, requests
 * that wait for one, requests, retries. Every refusal is counted.
 */
export class LimitState {
  connections = 0;
  pending = 0;
  requests = 0;
  retries = 0;
  /** What went beyond a limit, by its name; `rate` is that of retries over time. */
  readonly refused = new Map<string, number>();
  protected limits: ClusterLimits;
  /** Undefined: retries are not bounded over time. */
  protected meter: RetryMeter | undefined;
  private readonly recorder: Recorder;
  private readonly clock: Clock | undefined;
  private readonly parts: number;

  /** `parts`: among how many threads the limits are shared. */
  constructor(limits: ClusterLimits, recorder: Recorder, clock?: Clock, parts = 1) {
    this.limits = limits;
    this.recorder = recorder;
    this.clock = clock;
    this.parts = parts;
    this.meter = this.createMeter(limits);
  }

  update(limits: ClusterLimits): void {
    const before = this.limits.retryBudget;
    this.limits = limits;
    const { retryBudget: budget } = limits;
    const same =
      before?.percent === budget?.percent &&
      before?.rate?.intervalMs === budget?.rate?.intervalMs &&
      before?.rate?.perSecondMin === budget?.rate?.perSecondMin;
    if (!same) this.meter = this.createMeter(limits);
  }

  private createMeter({ retryBudget }: ClusterLimits): RetryMeter | undefined {
    if (retryBudget?.rate === undefined || this.clock === undefined) return undefined;
    return new RetryMeter(this.clock, retryBudget, retryBudget.rate, this.parts);
  }

  /** Takes a place for a request; give it back with `endRequest`. */
  beginRequest(): boolean {
    if (this.requests >= this.limits.requestsMax) return this.refuse('cluster.requests.overflow');
    this.requests++;
    this.meter?.request();
    return true;
  }

  endRequest(): void {
    this.requests--;
  }

  /** Takes a place for a retry, from its back-off until its outcome is known; give it back with `endRetry`. */
  beginRetry(): boolean {
    if (this.retries >= retriesAllowed(this.limits, this.requests)) return this.refuse('cluster.retries.overflow');
    if (!this.meterRetry()) return false;
    this.retries++;
    return true;
  }

  endRetry(): void {
    this.retries--;
  }

  /** Counts what repeats a request without taking a place; false: retries were too many lately. */
  meterRetry(): boolean {
    return this.meter?.retry() !== false || this.refuse('cluster.retries.rate');
  }

  beginPending(): boolean {
    if (this.pending >= this.limits.pendingRequestsMax) return this.refuse('cluster.pending.overflow');
    this.pending++;
    return true;
  }

  endPending(): void {
    this.pending--;
  }

  /** `first`: an endpoint without any connection may always have one, or its requests would wait for ever (as Envoy). */
  beginConnection(first: boolean): boolean {
    if (this.connections >= this.limits.connectionsMax && !first) return this.refuse('cluster.connections.overflow');
    this.connections++;
    return true;
  }

  get connectionsFull(): boolean {
    return this.connections >= this.limits.connectionsMax;
  }

  endConnection(): void {
    this.connections--;
  }

  protected refuse(event: LimitEvent): false {
    this.recorder.count(event);
    const limit = limitNames[event];
    this.refused.set(limit, (this.refused.get(limit) ?? 0) + 1);
    return false;
  }
}
