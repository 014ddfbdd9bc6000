import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import type { Address } from '@weft/policies/model/address';
import type { RouteConfiguration } from '@weft/policies/model/route';
import { noMutation } from '@weft/policies/model/route';
import type { Lookup } from '@weft/policies/model/snapshot';
import { XdsSource } from './source.ts';

const address: Address = {
  kind: 'service',
  namespace: 'shop',
  name: 'cart',
  ports: [
    { port: 80, protocol: 'http', routeConfiguration: 'outbound/shop/cart/80', cluster: 'outbound/shop/cart/80' },
  ],
};

const route = (cluster: string): RouteConfiguration => ({
  name: 'outbound/shop/cart/80',
  virtualHosts: [
    {
      name: 'cart',
      domains: ['*'],
      routes: [
        {
          name: 'default',
          match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [] },
          action: {
            kind: 'forward',
            clusters: [{ name: cluster, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }],
            timeoutMs: 0,
            idleTimeoutMs: 0,
            retry: undefined,
            hostRewrite: undefined,
            pathRewrite: undefined,
          },
          requestHeaders: noMutation,
          responseHeaders: noMutation,
        },
      ],
    },
  ],
});

function make(limits: { waitersMax?: number; namesMax?: number } = {}) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const dropped: string[] = [];
  const events: string[] = [];
  const source = new XdsSource({
    clock,
    waitersMax: limits.waitersMax ?? 10,
    namesMax: limits.namesMax ?? 10,
    subscribe: (kind, name) => asked.push(`${kind} ${name}`),
    unsubscribe: (kind, name) => dropped.push(`${kind} ${name}`),
    count: (event) => events.push(event),
  });
  return { clock, source, asked, dropped, events };
}

describe('XdsSource', () => {
  test('an unknown name is pending and asked for once', () => {
    const { source, asked } = make();
    assert.equal(source.lookup('address', '10.0.0.1').state, 'pending');
    assert.equal(source.lookup('address', '10.0.0.1').state, 'pending');
    assert.deepEqual(asked, ['address 10.0.0.1']);
  });

  test('what a resource needs is asked for as soon as it arrives', () => {
    const { source, asked } = make();
    source.apply([{ kind: 'address', name: '10.0.0.1', entry: { value: address } }]);
    assert.deepEqual(asked, ['route outbound/shop/cart/80', 'cluster outbound/shop/cart/80']);
    source.apply([
      { kind: 'route', name: 'outbound/shop/cart/80', entry: { value: route('outbound/shop/cart-v2/80') } },
    ]);
    assert.deepEqual(asked.slice(2), ['cluster outbound/shop/cart-v2/80']);
  });

  test('a pinned snapshot does not change under its request', () => {
    const { source } = make();
    source.apply([{ kind: 'route', name: 'r', entry: { value: route('a') } }]);
    const pinned = source.current();
    source.apply([{ kind: 'route', name: 'r', entry: { value: route('b') } }]);
    const clusterOf = (lookup: Lookup<RouteConfiguration>): string => {
      assert.equal(lookup.state, 'found');
      const action = lookup.state === 'found' ? lookup.value.virtualHosts[0]?.routes[0]?.action : undefined;
      return action?.kind === 'forward' ? (action.clusters[0]?.name ?? '') : '';
    };
    assert.equal(clusterOf(pinned.get('route', 'r')), 'a');
    assert.equal(clusterOf(source.lookup('route', 'r')), 'b');
  });

  test('a wait ends when the resource arrives, or is said to be absent', () => {
    const { source } = make();
    const seen: string[] = [];
    source.wait('address', '10.0.0.1', 1_000, (lookup) => seen.push(lookup.state));
    source.wait('address', '10.0.0.2', 1_000, (lookup) => seen.push(lookup.state));
    source.apply([{ kind: 'address', name: '10.0.0.1', entry: { value: address } }]);
    assert.deepEqual(seen, ['found']);
    source.apply([{ kind: 'address', name: '10.0.0.2', entry: { absent: true } }]);
    assert.deepEqual(seen, ['found', 'absent']);
    assert.equal(source.waiting, 0);
  });

  test('a wait that nobody answers ends pending at its time, once, and is counted', () => {
    const { source, clock, events } = make();
    const seen: string[] = [];
    source.wait('address', '10.0.0.1', 500, (lookup) => seen.push(lookup.state));
    clock.advance(499);
    assert.deepEqual(seen, []);
    clock.advance(1);
    source.apply([{ kind: 'address', name: '10.0.0.1', entry: { value: address } }]);
    assert.deepEqual(seen, ['pending']);
    assert.deepEqual(events, ['on_demand_timeout']);
  });

  test('the waiting place is bounded', () => {
    const { source, events } = make({ waitersMax: 1 });
    assert.equal(
      source.wait('address', '10.0.0.1', 500, () => {}),
      true,
    );
    assert.equal(
      source.wait('address', '10.0.0.2', 500, () => assert.fail('must not be called')),
      false,
    );
    assert.deepEqual(events, ['on_demand_waiting_full']);
  });

  test('beyond the bound of addresses the oldest is dropped, and can be asked for again', () => {
    const { source, asked, dropped } = make({ namesMax: 2 });
    for (const ip of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) source.lookup('address', ip);
    assert.deepEqual(dropped, ['address 10.0.0.1']);
    source.lookup('address', '10.0.0.1');
    assert.equal(asked.filter((name) => name === 'address 10.0.0.1').length, 2);
  });
});

test('what a part of the proxy cannot use is undone, unless something newer has come', () => {
  const { source } = make();
  const good = { kind: 'route', name: 'r', entry: { value: route('good') } } as const;
  const bad = { kind: 'route', name: 'r', entry: { value: route('bad') } } as const;
  const newer = { kind: 'route', name: 'r', entry: { value: route('newer') } } as const;
  source.apply([good]);
  source.onChange((snapshot) => {
    const found = snapshot.get('route', 'r');
    if (found.state === 'found' && found.value === bad.entry.value) throw new Error('cannot be compiled');
  });
  const before = source.entriesOf([bad]);
  assert.equal(source.apply([bad]), 'cannot be compiled');
  source.undo([bad], before);
  assert.deepEqual(source.lookup('route', 'r'), { state: 'found', value: good.entry.value });
  source.apply([bad]);
  source.apply([newer]);
  source.undo([bad], before);
  assert.deepEqual(source.lookup('route', 'r'), { state: 'found', value: newer.entry.value });
});
