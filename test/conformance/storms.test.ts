/**
 * Storms: what retries make of a failure, on a seeded clock. Pods of a chain have both sides of their sidecar as they
 * are in production, from the listener's dispatch to the pool; sockets, TLS and applications are in memory, since on a
 * real clock a fifth more of load would be lost in the noise of the machine.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultClusterLimits } from '@weft/policies/model/cluster';
import type { HedgePolicy, RetryPolicy } from '@weft/policies/model/retry';
import type { Handler } from '@weft/sidecar/filters/testing';
import { chainOf, type HopOptions, type Pod } from '@weft/sidecar/filters/testing-chain';

const REQUESTS_PER_SECOND = 200;
const HOPS = 4;

/** What somebody writes who wants to be sure. */
const retry: RetryPolicy = {
  on: ['5xx', 'connect-failure', 'reset', 'refused-stream'],
  retriesMax: 3,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  nonIdempotent: false,
};
const hedge: HedgePolicy = {
  onPerTryTimeout: false,
  delayed: { delay: { kind: 'percentile', percentile: 95, delayMsMin: 1 }, attemptsMax: 2 },
};

const healthy: Handler = () => ({ status: 200, body: 'ok', afterMs: 5 });
const failing: Handler = () => ({ status: 503, afterMs: 5 });
const silent: Handler = () => 'hang';

interface Second {
  sent: number;
  good: number;
  slowestMs: number;
}

/** A chain under a steady load, second by second; seconds are those in which a request was sent. */
class Storm {
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
      const second: Second = { sent: 0, good: 0, slowestMs: 0 };
      this.seconds.push(second);
      for (let n = 0; n < REQUESTS_PER_SECOND; n++) {
        this.send(second);
        this.clock.advance(1_000 / REQUESTS_PER_SECOND);
      }
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

/** How often the last application is asked in 20 s when it fails, as a multiple of when it does not. */
function amplification(hop: HopOptions): number {
  const normal = new Storm(hop);
  normal.run(20);
  normal.settle();
  const storm = new Storm(hop);
  storm.backend.answers = failing;
  storm.run(20);
  storm.settle();
  assert.equal(normal.backendRequests, 20 * REQUESTS_PER_SECOND);
  assert.equal(
    storm.seconds.reduce((sum, { good }) => sum + good, 0),
    0,
  );
  return storm.backendRequests / normal.backendRequests;
}

describe('a backend at 100 % errors, with retries on at every hop of a chain of four', () => {
  test('sees at most 1.2 times its normal load', () => {
    const times = amplification({ action: { retry } });
    assert.ok(times <= 1.2 && times > 1.01, `${times}`);
  });

  test('nor does hedging at every hop add to that', () => {
    const times = amplification({ action: { retry, hedge } });
    assert.ok(times <= 1.2 && times > 1.01, `${times}`);
  });

  test('with no word of it through the applications each hop adds its fifth, and no more', () => {
    const times = amplification({ action: { retry }, propagates: [] });
    assert.ok(times > 1.2 && times <= 1.2 ** HOPS, `${times}`);
  });

  test('without budgets and that word it would be a multiple', () => {
    const limits = { ...defaultClusterLimits, retriesMax: 1_000_000, requestsMax: 1_000_000, retryBudget: undefined };
    const wild = { action: { retry: { ...retry, retriesMax: 1, nested: true as const } }, cluster: { limits } };
    const times = amplification(wild);
    assert.equal(times, 2 ** HOPS);
  });
});

describe('after an outage of 30 s all is well within 5 s, by itself', () => {
  const hop: HopOptions = { action: { retry, hedge, timeoutMs: 1_000 } };
  const outages: Readonly<Record<string, Handler>> = { errors: failing, silence: silent };

  const recovers = (storm: Storm, begin: () => void, end: () => void): void => {
    storm.run(10);
    // Those of the last second may be under way when it begins.
    const before = storm.seconds.slice(5, 9);
    begin();
    storm.run(30);
    end();
    storm.run(10);
    storm.settle();
    assert.equal(
      before.every(({ good, sent }) => good === sent),
      true,
    );
    assert.equal(
      storm.seconds.slice(12, 39).reduce((sum, { good }) => sum + good, 0),
      0,
    );
    const usualMs = Math.max(...before.map(({ slowestMs }) => slowestMs));
    for (const { good, sent, slowestMs } of storm.seconds.slice(45)) {
      assert.equal(good, sent);
      assert.ok(slowestMs <= usualMs * 2, `${slowestMs} ms, before ${usualMs} ms`);
    }
  };

  for (const [title, handler] of Object.entries(outages)) {
    test(`of ${title}`, () => {
      const storm = new Storm(hop);
      recovers(
        storm,
        () => {
          storm.backend.answers = handler;
        },
        () => {
          storm.backend.answers = healthy;
        },
      );
    });
  }

  test('of the network', () => {
    const storm = new Storm(hop);
    const server = storm.pods.at(-2)?.world.servers.get('10.0.0.2 80');
    assert.ok(server !== undefined);
    recovers(
      storm,
      () => {
        server.accepts = false;
        for (const connection of [...server.connections]) connection.destroy();
      },
      () => {
        server.accepts = true;
      },
    );
  });
});
