import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { random } from '@weft/policies/model/balancer';
import { noMutation } from '@weft/policies/model/route';
import { SESSION_FILTER } from '@weft/policies/model/route-filter';
import type { SessionPersistence } from '@weft/policies/model/session';
import fc from 'fast-check';
import { Headers } from '../../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, testRoute, World } from '../testing.ts';
import { decodeToken, encodeAddress, encodeToken } from './token.ts';

const cookie: SessionPersistence = { kind: 'cookie', name: 'sid', path: '/', ttlMs: 0, timeoutMs: 0, strict: false };
const header: SessionPersistence = { kind: 'header', name: 'X-Session', timeoutMs: 0, strict: false };
const endpoints = Array.from({ length: 8 }, (_, i) => testEndpoint(`10.0.0.${i + 1}`, 80));

function shop(session: SessionPersistence, route = forwardTo('shop')) {
  const world = new World(3);
  world.source.cluster(testCluster('shop', { balancer: random }));
  world.source.assignment('shop', endpoints);
  for (const { address } of endpoints) world.server(address.ip, 80, () => ({ status: 200, body: address.ip }));
  const filters = [{ kind: 'session' as const, name: SESSION_FILTER, session }];
  const dispatch = world.dispatch(
    testHcm(
      { kind: 'inline', config: routes('r', { ...route, filters }) },
      { filters: [{ kind: 'session', name: SESSION_FILTER, session: undefined }, { kind: 'router' }] },
    ),
  );
  const send = (fields: readonly string[] = [], path = '/') => {
    const exchange = world.send(dispatch, { path, headers: Headers.from(fields) });
    world.clock.advance(1);
    return exchange;
  };
  return { world, send };
}

const cookieOf = (exchange: ReturnType<ReturnType<typeof shop>['send']>): string =>
  exchange.response?.headers.get('set-cookie') ?? '';

describe('sessions by cookie', () => {
  test('requests with the cookie go where the first one went', () => {
    const { send } = shop(cookie);
    const first = send();
    const match = /^sid="([A-Za-z0-9+/=]+)"; Path=\/; HttpOnly$/.exec(cookieOf(first));
    assert.ok(match?.[1] !== undefined, cookieOf(first));
    for (let i = 0; i < 50; i++) {
      const next = send(['Cookie', `a=b; sid="${match[1]}"; c=d`]);
      assert.equal(next.body, first.body);
      assert.equal(cookieOf(next), '');
    }
    assert.ok(new Set(Array.from({ length: 50 }, () => send().body)).size > 1);
  });

  test('an endpoint that is gone gives way to another, and the client is told', () => {
    const { world, send } = shop(cookie);
    const first = send();
    const value = /"(.*)"/.exec(cookieOf(first))?.[1] ?? '';
    world.source.assignment(
      'shop',
      endpoints.filter(({ address }) => address.ip !== first.body),
    );
    const next = send(['Cookie', `sid=${value}`]);
    assert.notEqual(next.body, first.body);
    assert.equal(decodeToken(/"(.*)"/.exec(cookieOf(next))?.[1] ?? '')?.address, `${next.body}:80`);
    assert.equal(world.count('session.moved'), 1);
  });

  test('where the policy is strict nobody else will do', () => {
    const { world, send } = shop({ ...cookie, strict: true });
    const first = send();
    const value = /"(.*)"/.exec(cookieOf(first))?.[1] ?? '';
    world.source.assignment(
      'shop',
      endpoints.filter(({ address }) => address.ip !== first.body),
    );
    assert.equal(send(['Cookie', `sid=${value}`]).status, 503);
  });

  test('addresses that are none of the cluster’s are not gone to', () => {
    const { world, send } = shop(cookie);
    const next = send(['Cookie', `sid=${encodeToken({ address: '192.0.2.66:80', expires: 0 })}`]);
    assert.equal(next.status, 200);
    assert.ok(world.dials.every(({ endpoint }) => endpoint.address.ip.startsWith('10.0.0.')));
  });

  test('a session has an end, whatever the client keeps', () => {
    const { world, send } = shop({ ...cookie, timeoutMs: 60_000 });
    const first = send();
    assert.doesNotMatch(cookieOf(first), /Max-Age/);
    const value = /"(.*)"/.exec(cookieOf(first))?.[1] ?? '';
    assert.equal(cookieOf(send(['Cookie', `sid=${value}`])), '');
    world.clock.advance(62_000);
    assert.match(cookieOf(send(['Cookie', `sid=${value}`])), /^sid=/);
  });

  test('a cookie that stays says for how long', () => {
    assert.match(cookieOf(shop({ ...cookie, ttlMs: 90_000 }).send()), /; Max-Age=90; Path=\/; HttpOnly$/);
  });

  test('only under the path of the cookie', () => {
    const { send } = shop({ ...cookie, path: '/shop' });
    assert.match(cookieOf(send([], '/shop/cart')), /Path=\/shop/);
    assert.match(cookieOf(send([], '/shop?a')), /Path=\/shop/);
    assert.equal(cookieOf(send([], '/shopping')), '');
  });
});

test('by header', () => {
  const { send } = shop(header);
  const first = send();
  const value = first.response?.headers.get('x-session') ?? '';
  assert.equal(value, encodeAddress(`${first.body}:80`));
  for (let i = 0; i < 20; i++) {
    const next = send(['x-session', value]);
    assert.equal(next.body, first.body);
    assert.equal(next.response?.headers.has('x-session'), false);
  }
});

test('of several backends the one that the session is with', () => {
  const plain = { requestHeaders: noMutation, responseHeaders: noMutation };
  const clusters = [
    { name: 'shop', weight: 1, ...plain },
    { name: 'other', weight: 9, ...plain },
  ];
  const { world, send } = shop(cookie, testRoute({ clusters }));
  world.source.cluster(testCluster('other'));
  world.source.assignment('other', [testEndpoint('10.0.1.1', 80)]);
  world.server('10.0.1.1', 80, () => ({ status: 200, body: '10.0.1.1' }));
  let first = send();
  for (let i = 0; i < 100 && first.body === '10.0.1.1'; i++) first = send();
  const value = /"(.*)"/.exec(cookieOf(first))?.[1] ?? '';
  for (let i = 0; i < 20; i++) assert.equal(send(['Cookie', `sid=${value}`]).body, first.body);
});

test('what clients send as a session never does harm', () => {
  const address = fc.oneof(
    fc.tuple(fc.ipV4(), fc.nat({ max: 65_535 })).map(([ip, port]) => `${ip}:${port}`),
    fc.tuple(fc.ipV6(), fc.nat({ max: 65_535 })).map(([ip, port]) => `[${ip}]:${port}`),
  );
  fc.assert(
    fc.property(address, fc.nat({ max: 2 ** 40 }), (one, expires) => {
      assert.deepEqual(decodeToken(encodeToken({ address: one, expires })), { address: one, expires });
      assert.deepEqual(decodeToken(encodeAddress(one)), { address: one, expires: 0 });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void decodeToken(Buffer.from(bytes).toString('base64'))),
  );
  fc.assert(fc.property(fc.string(), (any) => void decodeToken(any)));
});
