import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Prng, SeededPrng } from '@weft/policies/kit/prng';
import { type ClusterLimits, defaultClusterLimits } from '@weft/policies/model/cluster';
import type { HttpFault } from '@weft/policies/model/fault';
import { always } from '@weft/policies/model/fraction';
import type { Admission } from '@weft/policies/model/overload';
import type { HedgePolicy, RetryPolicy } from '@weft/policies/model/retry';
import { FAULT_FILTER } from '@weft/policies/model/route-filter';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import { ActiveCalls } from './hop/calls.ts';
import { Protection } from './protection.ts';
import {
  type Answer,
  forwardTo,
  type Later,
  routes,
  type TestDownstream,
  testCluster,
  testEndpoint,
  testHcm,
  World,
} from './testing.ts';

const share = (percent: number) => ({ numerator: percent, denominator: 100 }) as const;
const gone = { source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' } as const;

const retry: RetryPolicy = {
  on: ['5xx', 'reset', 'connect-failure'],
  retriesMax: 2,
  perTryTimeoutMs: 40,
  statusCodes: [],
  backoffBaseMs: 5,
  backoffMaxMs: 20,
  nonIdempotent: true,
};
const fault: HttpFault = {
  headers: [],
  delay: { delayMs: 30, share: share(20) },
  abort: { status: { kind: 'http', code: 503 }, share: share(5) },
  reset: { share: share(5) },
  requestRate: { kibPerSecond: 1, share: share(10) },
  responseRate: { kibPerSecond: 1, share: share(10) },
  activeMax: 10,
};
const admission: Admission = {
  name: 'shop/cart',
  fixedLimit: 8,
  classes: [{ name: 'default', matches: [], weight: 1 }],
  queue: { lengthMax: 6, waitMsMax: 100, targetMs: 20, intervalMs: 50 },
};
const limits: ClusterLimits = {
  ...defaultClusterLimits,
  connectionsMax: 12,
  pendingRequestsMax: 6,
  requestsMax: 20,
  retryBudget: { percent: 50, concurrencyMin: 2 },
};
const hedges: readonly (HedgePolicy | undefined)[] = [
  undefined,
  { onPerTryTimeout: true, delayed: undefined },
  { onPerTryTimeout: false, delayed: { delay: { kind: 'fixed', delayMs: 10 }, attemptsMax: 3 } },
  { onPerTryTimeout: true, delayed: { delay: { kind: 'fixed', delayMs: 10 }, attemptsMax: 3 } },
];
const ips = ['10.0.0.1', '10.0.0.2', '10.0.0.3'];

interface Open {
  readonly exchange: TestDownstream;
  bodyEnded: boolean;
}

/** One run of everything at once: what a client, servers and the control plane do is drawn from a seed. */
class Storm {
  readonly world: World;
  readonly protection: Protection;
  readonly calls = new ActiveCalls();
  readonly runtimes = new Set<ClusterRuntime>();
  readonly sent: Open[] = [];
  private readonly dice: Prng;
  private readonly hanging: Later[] = [];
  private dispatch: ReturnType<World['dispatch']>;
  private readonly hedge: HedgePolicy | undefined;

  constructor(seed: number) {
    this.dice = new SeededPrng(seed * 7_919);
    this.world = new World(seed);
    const { world } = this;
    this.hedge = this.oneOf(hedges);
    this.protection = new Protection({ clock: world.clock, prng: world.prng, recorder: world.recorder, threads: 1 });
    this.configure();
    for (const [i, name] of ['shop', 'copy'].entries()) {
      world.source.assignment(name, this.endpoints(i));
      for (const ip of ips) {
        const server = world.server(ip, 80 + i, (_, later) => this.serve(later));
        server.connectMs = this.below(20);
      }
    }
    this.dispatch = this.listener();
  }

  step(): void {
    const { world } = this;
    const what = this.below(100);
    if (what < 35) this.send();
    else if (what < 45) this.sendMore();
    else if (what < 52) this.reset();
    else if (what < 60) this.hanging.splice(this.below(this.hanging.length || 1), 1)[0]?.answer(this.answer());
    else if (what < 64) for (const server of world.servers.values()) server.accepts = this.below(4) > 0;
    else if (what < 67) world.source.assignment('shop', this.endpoints(0).slice(this.below(4)));
    else if (what < 69) this.configure();
    else if (what < 70) world.source.removeCluster(this.below(2) === 0 ? 'shop' : 'copy');
    else if (what < 72) this.dispatch = this.listener();
    else if (what < 74) this.breakConnections();
    else world.clock.advance(this.below(25));
    this.watch();
  }

  /** Half of the clients go away, the others wait for what comes. */
  finish(): void {
    for (const open of this.sent) {
      if (open.exchange.ended) continue;
      if (this.below(2) === 0) this.leave(open.exchange);
    }
    this.world.clock.advance(700_000);
    this.watch();
  }

  private send(): void {
    const { world } = this;
    const bodies: readonly (readonly string[] | undefined)[] = [undefined, ['a', 'b'], ['x'.repeat(30_000)]];
    const body = this.oneOf(bodies);
    const bodyEnded = this.below(3) > 0;
    const exchange = bodyEnded
      ? world.send(this.dispatch, { method: body === undefined ? 'GET' : 'POST' }, body)
      : world.send(this.dispatch, { method: 'POST' }, []);
    this.sent.push({ exchange, bodyEnded });
  }

  private sendMore(): void {
    const open = this.oneOf(this.sent.filter((one) => !one.bodyEnded && !one.exchange.ended));
    if (open === undefined) return;
    open.bodyEnded = this.below(2) === 0;
    open.exchange.receiver?.onData(Buffer.from('more'.repeat(this.below(3_000))), open.bodyEnded);
  }

  private reset(): void {
    const open = this.oneOf(this.sent.filter(({ exchange }) => !exchange.ended));
    if (open !== undefined) this.leave(open.exchange);
  }

  private leave(exchange: TestDownstream): void {
    exchange.ended = true;
    exchange.receiver?.onReset(gone);
    exchange.receiver?.onDone();
  }

  private breakConnections(): void {
    for (const server of this.world.servers.values()) {
      for (const connection of [...server.connections]) if (this.below(3) === 0) connection.destroy();
    }
  }

  private serve(later: Later): Answer | 'reset' | 'hang' {
    const what = this.below(10);
    if (what === 0) return 'reset';
    if (what > 2) return this.answer();
    this.hanging.push(later);
    return 'hang';
  }

  private answer(): Answer {
    const status = this.oneOf([200, 200, 200, 500, 503]) ?? 200;
    const body = this.oneOf(['', 'ok', 'y'.repeat(2_000)]) ?? '';
    return { status, body, afterMs: this.below(60), endless: body !== '' && this.below(15) === 0 };
  }

  private endpoints(i: number) {
    return ips.map((ip) => testEndpoint(ip, 80 + i));
  }

  private configure(): void {
    for (const name of ['shop', 'copy']) {
      this.world.source.cluster(testCluster(name, { limits: { ...limits, requestsMax: 10 + this.below(10) } }));
    }
  }

  private listener() {
    const { world, protection, calls } = this;
    const action = {
      retry,
      ...(this.hedge === undefined ? {} : { hedge: this.hedge }),
      mirrors: [
        { cluster: 'copy', share: share(60), keepsHost: false },
        { cluster: 'copy', share: always, keepsHost: true },
      ],
      mirrorDiff: { headers: [], ignoresBody: false, bodyBytesMax: 100 },
      timeoutMs: 200,
      idleTimeoutMs: 1_000,
    };
    const fixedLimit = 2 + this.below(8);
    const hcm = testHcm(
      { kind: 'inline', config: routes('r', forwardTo('shop', action)) },
      {
        filters: [
          { kind: 'admission', name: 'a', admission: { ...admission, fixedLimit } },
          { kind: 'fault', name: FAULT_FILTER, fault },
          { kind: 'router' },
        ],
      },
    );
    return world.dispatch(hcm, 'outbound', { protection, calls });
  }

  private watch(): void {
    for (const runtime of this.world.clusters.active()) {
      this.runtimes.add(runtime);
    }
    for (const { limits: now } of this.runtimes) {
      for (const part of ['requests', 'retries', 'pending', 'connections'] as const) assert.ok(now[part] >= 0, part);
    }
    for (const [, { controller }] of this.protection.admissions.all()) {
      assert.ok(controller.running >= 0 && controller.queueLength >= 0);
    }
  }

  private below(n: number): number {
    return Math.floor(this.dice.next() * n);
  }

  private oneOf<T>(all: readonly T[]): T | undefined {
    return all[this.below(all.length)];
  }
}

function assertNothingHeld(storm: Storm): void {
  const { world, protection, sent, runtimes, calls } = storm;
  assert.deepEqual(
    sent.filter(({ exchange }) => !exchange.ended).map(({ exchange }) => exchange.head.method),
    [],
    'unanswered',
  );
  assert.equal(world.recorder.records.length, sent.length, 'one record for each request');
  for (const runtime of runtimes) {
    const { requests, retries, pending, connections } = runtime.limits;
    assert.deepEqual(
      { requests, retries, pending, connections },
      { requests: 0, retries: 0, pending: 0, connections: 0 },
    );
    for (const host of runtime.endpoints) assert.equal(host.active, 0);
  }
  for (const [, { controller }] of protection.admissions.all()) {
    assert.deepEqual([controller.running, controller.queueLength], [0, 0], 'places of the application');
  }
  assert.equal(calls.size, 0);
}

describe('whatever happens, afterwards nothing is held', () => {
  for (let block = 0; block < 10; block++) {
    test(`seeds ${block * 20} to ${block * 20 + 19}`, () => {
      for (let seed = block * 20; seed < block * 20 + 20; seed++) {
        try {
          const storm = new Storm(seed + 1);
          for (let i = 0; i < 150; i++) storm.step();
          storm.finish();
          assertNothingHeld(storm);
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error });
        }
      }
    });
  }
});
