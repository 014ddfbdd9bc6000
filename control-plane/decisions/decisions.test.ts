import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import type { FlowReport } from '@weft/policies/model/decision-report';
import { Flows } from './flows.ts';
import { Hits } from './hits.ts';
import { hitStatus } from './status.ts';

const flow: FlowReport = {
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  ip: '',
  method: 'GET',
  host: 'cart',
  path: '/cart',
  example: '',
  port: 8080,
  denied: false,
  count: 5,
};
const HOUR_MS = 3_600_000;

describe('flows of the last hours', () => {
  test('add up, by the hour, and are forgotten after a day', () => {
    const clock = new ManualClock();
    const flows = new Flows(clock);
    flows.add('shop/cart', 'shop/cart-1', flow);
    clock.advance(2 * HOUR_MS);
    flows.add('shop/cart', 'shop/cart-2', flow);
    assert.equal(flows.since(0, undefined)[0]?.count, 10);
    assert.equal(flows.since(0, undefined)[0]?.pod, 'shop/cart-2');
    assert.equal(flows.since(clock.unixMs() - HOUR_MS, undefined)[0]?.count, 5);
    assert.equal(flows.since(0, 'desk').length, 0);
    clock.advance(25 * HOUR_MS);
    flows.add('shop/other', 'shop/other-1', flow);
    assert.equal(flows.size, 1);
  });

  test('that were told of later count beside the others, by who else has them, for a day', () => {
    const clock = new ManualClock(100 * HOUR_MS);
    const flows = new Flows(clock);
    flows.add('shop/cart', 'shop/cart-1', flow);
    for (const hour of [76, 77, 99, 101]) {
      flows.addPast('shop/cart', 'shop/cart-1', { flow, hour, heldBy: ['b', 'a'] });
    }
    flows.addPast('shop/cart', 'shop/cart-1', { flow: { ...flow, path: '/past' }, hour: 98, heldBy: ['a'] });
    flows.addPast('shop/cart', 'shop/cart-1', { flow, hour: 98, heldBy: ['a'.repeat(65)] });
    const [first, second, ...more] = flows.since(0, undefined);
    assert.equal(first?.count, 5);
    assert.deepEqual(first?.elsewhere, [{ heldBy: ['b', 'a'], count: 10 }], 'not what is a day old, or to come');
    assert.deepEqual([second?.path, second?.count, second?.lastUnixMs], ['/past', 0, 99 * HOUR_MS]);
    assert.deepEqual(more, []);
    assert.equal(flows.firstUnixMs, 77 * HOUR_MS);
    clock.advance(24 * HOUR_MS);
    flows.add('shop/other', 'shop/other-1', flow);
    assert.equal(flows.size, 1);
    assert.equal(flows.lost, 0);
  });

  test('have a bound for the sets of control planes that have them too', () => {
    const flows = new Flows(new ManualClock(100 * HOUR_MS));
    for (let i = 0; i < 20; i++) flows.addPast('shop/cart', 'shop/cart-1', { flow, hour: 99, heldBy: [`i${i}`] });
    assert.equal(flows.since(0, undefined)[0]?.elsewhere?.length, 16);
    assert.equal(flows.lost, 4 * 5);
  });

  test('have a bound for a workload', () => {
    const flows = new Flows(new ManualClock());
    for (let i = 0; i < 8_200; i++) flows.add('shop/cart', 'shop/cart-1', { ...flow, path: `/${i}` });
    assert.equal(flows.size, 8_192);
    assert.equal(flows.lost, 8 * 5);
  });

  test('keep nothing of a sidecar that makes them up: long texts, and counts that are none', () => {
    const flows = new Flows(new ManualClock());
    const long = 'x'.repeat(4_096);
    for (const field of ['identity', 'ip', 'method', 'host', 'path', 'example'] as const) {
      flows.add('shop/cart', 'shop/cart-1', { ...flow, [field]: long });
    }
    assert.equal(flows.size, 0);
    assert.equal(flows.lost, 6 * 5);
    for (const host of ['\u001b[2J', 'a b', 'a\nb', '\u202e', '\u0000', 'ä']) {
      flows.add('shop/cart', 'shop/cart-1', { ...flow, host, count: 1 });
    }
    assert.equal(flows.lost, 6 * 5 + 6);
    flows.lost -= 6;
    for (const count of [0, -1, Number.NaN, 2 ** 60, 0.5]) flows.add('shop/cart', 'shop/cart-1', { ...flow, count });
    assert.equal(flows.size, 0);
    assert.equal(flows.lost, 6 * 5);
  });
});

describe('hits in the status', () => {
  test('come on top of what others wrote; a rule without any stays dead since it was first seen', () => {
    const hits = new Hits();
    const first = hitStatus(undefined, ['web', '1'], undefined, 1_000);
    assert.deepEqual(first, {
      hits: 0,
      rules: [
        { name: 'web', hits: 0, since: '1970-01-01T00:00:01Z' },
        { name: '1', hits: 0, since: '1970-01-01T00:00:01Z' },
      ],
    });
    hits.add({ rule: 'shop/allow/web', hits: 3 }, 5_000);
    const second = hitStatus(first, ['web', '1'], hits.of('shop/allow'), 6_000);
    assert.equal(second?.hits, 3);
    assert.equal(second?.lastHitTime, '1970-01-01T00:00:05Z');
    assert.equal(second?.rules[1]?.lastHitTime, undefined);
    hits.add({ rule: 'shop/allow/web', hits: 2 }, 7_000);
    hits.written('shop/allow', new Map([['web', 3]]));
    const third = hitStatus(second, ['web', '1'], hits.of('shop/allow'), 8_000);
    assert.equal(third?.hits, 5);
    assert.equal(third?.rules[0]?.hits, 5);
    hits.written('shop/allow', new Map([['web', 2]]));
    assert.equal(hits.of('shop/allow'), undefined);
    assert.equal(hitStatus(third, ['web', '1'], undefined, 9_000), undefined);
  });

  test('of a rule that is gone stay in the sum; a new rule begins to be counted', () => {
    const before = { hits: 7, rules: [{ name: 'old', hits: 7, since: '2026-01-01T00:00:00Z' }] };
    const after = hitStatus(before, ['new'], undefined, 0);
    assert.equal(after?.hits, 7);
    assert.deepEqual(after?.rules, [{ name: 'new', hits: 0, since: '1970-01-01T00:00:00Z' }]);
  });
});
