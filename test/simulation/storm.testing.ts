/**
 * Storms: what retries make of a failure, on a seeded clock. Pods of a chain have both sides of their sidecar as they
 * are in production, from the listener's dispatch to the pool; sockets, TLS and applications are in memory, since on a
 * real clock a fifth more of load would be lost in the noise of the machine.
 */
import assert from 'node:assert/strict';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import { defaultRetry, type HedgePolicy, type RetryPolicy } from '@weft/policies/model/retry';
import type { Handler } from '@weft/sidecar/filters/testing';
import { chainOf, type HopOptions, type Pod } from '@weft/sidecar/filters/testing-chain';

export const REQUESTS_PER_SECOND = 200;
export const HOPS = 4;

/** What somebody writes who wants to be sure. */
export const retry: RetryPolicy = {
  ...defaultRetry,
  on: ['5xx', 'connect-failure', 'reset', 'refused-stream'],
  retriesMax: 3,
};
export const hedge: HedgePolicy = {
  onPerTryTimeout: false,
  delayed: { delay: { kind: 'percentile', percentile: 95, delayMsMin: 1 }, attemptsMax: 2 },
};

export const healthy: Handler = () => ({ status: 200, body: 'ok', afterMs: 5 });
export const failing: Handler = () => ({ status: 503, afterMs: 5 });
export const silent: Handler = () => 'hang';

export interface Second {
  /** What the last application was asked for. */
  asked: number;
  sent: number;
  good: number;
  slowestMs: number;
}

/** A chain under a steady load, second by second; seconds are those in which a request was sent. */
export class Storm {
  readonly pods: readonly Pod[];
  readonly seconds: Second[] = [];
  private readonly clock = new ManualClock();

  constructor(hop: HopOptions) {
    this.pods = chainOf(
      Array.from({ length: HOPS + 1 }, () => hop),
      this.clock,
    );
    this.backend.answers = healthy;
  }

  get backend(): Pod {
    return this.pods.at(-1) ?? assert.fail('an empty chain');
  }

  get backendRequests(): number {
    return this.backend.app.requests.length;
  }

  run(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      const second: Second = { asked: 0, sent: 0, good: 0, slowestMs: 0 };
      this.seconds.push(second);
      const askedBefore = this.backendRequests;
      for (let n = 0; n < REQUESTS_PER_SECOND; n++) {
        this.send(second);
        this.clock.advance(1_000 / REQUESTS_PER_SECOND);
      }
      second.asked = this.backendRequests - askedBefore;
    }
  }

  /** Until everything is answered. */
  settle(): void {
    this.clock.advance(60_000);
    for (const pod of this.pods) {
      const limits = pod.world.clusters.get('next')?.limits;
      assert.deepEqual([limits?.requests ?? 0, limits?.retries ?? 0, limits?.pending ?? 0], [0, 0, 0]);
    }
  }

  private send(second: Second): void {
    const startMs = this.clock.nowMs();
    second.sent++;
    const exchange = this.pods[0]?.call() ?? assert.fail('an empty chain');
    const done = (): void => {
      if (exchange.status === 200) second.good++;
      second.slowestMs = Math.max(second.slowestMs, this.clock.nowMs() - startMs);
    };
    exchange.onEnd = done;
    if (exchange.ended) done();
  }
}

/** As if nobody had thought of storms: no budget, and every hop retries for itself. */
const limits = { ...defaultClusterLimits, retriesMax: 1_000_000, requestsMax: 1_000_000, retryBudget: undefined };
export const wild: HopOptions = { action: { retry: { ...retry, retriesMax: 1, nested: true } }, cluster: { limits } };
