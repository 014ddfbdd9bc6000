/** Flows outlive control planes: sidecars tell those that begin anew, and no request counts twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Decisions } from '@weft/control-plane/decisions/decisions';
import type { Pod } from '@weft/control-plane/index/core';
import { ClusterState } from '@weft/control-plane/index/state';
import { parseObjects } from '@weft/control-plane/static/objects';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { FlowReport } from '@weft/policies/model/decision-report';
import { DecisionReporter } from '@weft/sidecar/authorization/reporter';
import fc from 'fast-check';
import { added } from './read.ts';

const SIDECARS = 3;
const REPLICAS = 2;
const HOUR_MS = 3_600_000;

const flow = (path: string): FlowReport => ({
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  ip: '',
  method: 'GET',
  host: 'cart',
  path,
  example: '',
  port: 8080,
  denied: false,
  count: 1,
});

class World {
  readonly clock = new ManualClock(20 * 24 * HOUR_MS);
  readonly state = new ClusterState('weft-system');
  readonly replicas: Decisions[];
  readonly reporters: DecisionReporter[];
  /** Which replica a sidecar is connected to. */
  readonly connections = Array.from({ length: SIDECARS }, (_, i) => i % REPLICAS);
  readonly books: FlowReport[][] = Array.from({ length: SIDECARS }, () => []);
  private starts = 0;

  constructor() {
    const [pod] = this.pods();
    assert.ok(pod !== undefined);
    this.replicas = Array.from({ length: REPLICAS }, () => this.started());
    this.reporters = this.books.map(
      (_, i) =>
        new DecisionReporter({
          decisions: async () => ({ hits: [], flows: this.books[i]?.splice(0) ?? [], lost: 0 }),
          send: async (report) => {
            const replica = this.replicas[this.connections[i] ?? 0];
            assert.ok(replica !== undefined);
            replica.take(pod, report);
            return replica.instance;
          },
          clock: this.clock,
          prng: new SeededPrng(i),
          count: assert.fail,
        }),
    );
    for (const reporter of this.reporters) reporter.start();
  }

  restart(replica: number): void {
    this.replicas[replica] = this.started();
    for (const [i, connected] of this.connections.entries()) if (connected === replica) this.reporters[i]?.connected();
  }

  move(sidecar: number, replica: number): void {
    this.connections[sidecar] = replica;
    this.reporters[sidecar]?.connected();
  }

  /** Every sidecar reports once at least. */
  async report(): Promise<void> {
    this.clock.advance(11_000);
    for (let i = 0; i < 30; i++) await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  total(): number {
    const answers = this.replicas.map((one) => one.answer(0, undefined));
    return added(answers).flows.reduce((sum, { count }) => sum + count, 0);
  }

  private started(): Decisions {
    this.starts++;
    return new Decisions(this.state, this.clock, `start-${this.starts}`);
  }

  private pods(): readonly Pod[] {
    const objects = parseObjects(
      'kind: Pod\nmetadata: { name: cart, namespace: shop }\nspec: { containers: [{ name: app }] }',
    );
    assert.ok(objects.ok);
    for (const object of objects.value) this.state.apply(object);
    return [...this.state.pods.values()];
  }
}

test('a control plane that begins anew hears of the last hours, also when nobody calls any more', async () => {
  const world = new World();
  world.books[0]?.push(flow('/a'), flow('/a'), flow('/b'));
  await world.report();
  assert.equal(world.total(), 3);
  world.clock.advance(2 * HOUR_MS);
  await world.report();
  world.restart(0);
  assert.equal(world.total(), 0);
  await world.report();
  assert.equal(world.total(), 3);
  const [answer] = world.replicas.map((one) => one.answer(world.clock.unixMs() - HOUR_MS, undefined));
  assert.deepEqual(answer?.flows, [], 'in the hours in which they were');
  assert.ok((answer?.sinceUnixMs ?? 0) <= world.clock.unixMs() - 2 * HOUR_MS);
});

test('whatever restarts and wherever sidecars go, each request counts once', async () => {
  const sidecar = fc.nat({ max: SIDECARS - 1 });
  const replica = fc.nat({ max: REPLICAS - 1 });
  const step = fc.oneof(
    fc.record({ kind: fc.constant('call' as const), sidecar, path: fc.constantFrom('/a', '/b') }),
    fc.record({ kind: fc.constant('report' as const) }),
    fc.record({ kind: fc.constant('restart' as const), replica }),
    fc.record({ kind: fc.constant('move' as const), sidecar, replica }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = new World();
      let calls = 0;
      for (const one of steps) {
        if (one.kind === 'call') {
          calls++;
          world.books[one.sidecar]?.push(flow(one.path));
        } else if (one.kind === 'report') await world.report();
        else if (one.kind === 'restart') world.restart(one.replica);
        else world.move(one.sidecar, one.replica);
      }
      await world.report();
      await world.report();
      assert.equal(world.total(), calls);
      for (const reporter of world.reporters) await reporter.close();
    }),
    { numRuns: 60, seed: 7 },
  );
});
