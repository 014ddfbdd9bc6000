import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { always } from '@weft/policies/model/fraction';
import type { HttpFilter } from '@weft/policies/model/listener';
import type { LocalRateLimit, RateLimit } from '@weft/policies/model/overload';
import { noMutation } from '@weft/policies/model/route';
import type { RequestHead } from '../../http/exchange.ts';
import { Headers } from '../../http/headers.ts';
import { Protection } from '../protection.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const bucket = { tokensMax: 2, tokensPerFill: 2, fillIntervalMs: 10_000 };
const local: LocalRateLimit = {
  statPrefix: 'shop/limits/all',
  bucket,
  enabled: always,
  enforced: always,
  status: 429,
  responseHeaders: noMutation,
  requestHeaders: noMutation,
  rateLimitHeaders: false,
};
const limit: RateLimit = {
  name: 'shop/limits/some',
  matches: [],
  bucket,
  key: undefined,
  keysMax: 100,
  global: false,
  status: 429,
  rateLimitHeaders: false,
};

function shop(filters: readonly HttpFilter[], onRoute?: LocalRateLimit) {
  const world = new World(3);
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80);
  const plain = forwardTo('shop');
  const route =
    onRoute === undefined
      ? plain
      : { ...plain, filters: [{ kind: 'localRateLimit' as const, name: 'local', limit: onRoute }] };
  const protection = new Protection({ clock: world.clock, prng: world.prng, recorder: world.recorder, threads: 1 });
  const config = { kind: 'inline' as const, config: routes('r', route) };
  const dispatch = () =>
    world.dispatch(testHcm(config, { filters: [...filters, { kind: 'router' }] }), 'inbound', { protection });
  const first = dispatch();
  const send = (head: Partial<RequestHead>, connection = {}, chain = first) => {
    const exchange = world.send(chain, head, undefined, connection);
    world.clock.advance(0);
    return exchange;
  };
  const get = (fields: string[] = [], connection = {}, path = '/') =>
    send({ headers: Headers.from(fields), path }, connection);
  return { world, server, get, send, dispatch, protection };
}

const envoys = (limits: Partial<LocalRateLimit> = {}, name = 'local'): HttpFilter[] => [
  { kind: 'localRateLimit', name, limit: { ...local, ...limits } },
];
const ours = (...limits: Partial<RateLimit>[]): HttpFilter[] => [
  { kind: 'rateLimits', name: 'weft.dev/rate-limits', limits: limits.map((one) => ({ ...limit, ...one })) },
];

describe("Envoy's local rate limit", () => {
  test('answers 429 with RL and says when to come again', () => {
    const { get, world, server } = shop(envoys());
    assert.deepEqual([get().status, get().status], [200, 200]);
    const refused = get();
    assert.equal(refused.status, 429);
    assert.equal(refused.body, 'local_rate_limited');
    assert.equal(refused.response?.headers.get('retry-after'), '5');
    assert.equal(world.recorder.records.at(-1)?.flag, 'RL');
    assert.equal(world.recorder.records.at(-1)?.rule, 'shop/limits/all');
    assert.equal(server.requests.length, 2);
    world.clock.advance(5_000);
    assert.equal(get().status, 200);
  });

  test('shows what is left, on every response', () => {
    const { get } = shop(envoys({ rateLimitHeaders: true }));
    const shown = () => {
      const headers = get().response?.headers;
      return ['limit', 'remaining', 'reset'].map((name) => headers?.get(`x-ratelimit-${name}`));
    };
    assert.deepEqual(shown(), ['2', '1', '0']);
    assert.deepEqual(shown(), ['2', '0', '5']);
    assert.deepEqual(shown(), ['2', '0', '5']);
  });

  test('what is not enforced goes on, and tells the application', () => {
    const requestHeaders = { set: [], add: [{ name: 'x-limited', value: 'yes' }], remove: [] };
    const { get, server } = shop(envoys({ enforced: { numerator: 0, denominator: 100 }, requestHeaders }));
    for (let i = 0; i < 3; i++) assert.equal(get().status, 200);
    assert.deepEqual(
      server.requests.map(({ head }) => head.headers.get('x-limited')),
      [undefined, undefined, 'yes'],
    );
  });

  test('what is not enabled takes no token', () => {
    const { get } = shop(envoys({ enabled: { numerator: 0, denominator: 100 } }));
    for (let i = 0; i < 5; i++) assert.equal(get().status, 200);
  });

  test('a route has a bucket of its own', () => {
    const { get } = shop(envoys(), { ...local, bucket: { ...bucket, tokensMax: 1 }, status: 503 });
    assert.deepEqual([get().status, get().status], [200, 503]);
  });

  test('a call is told RESOURCE_EXHAUSTED', () => {
    const { world, dispatch } = shop(envoys({ bucket: { ...bucket, tokensMax: 1 } }));
    const chain = dispatch();
    const call = () =>
      world.send(chain, { method: 'POST', version: 20, headers: Headers.from(['content-type', 'application/grpc']) }, [
        'x',
      ]);
    call();
    const refused = call();
    assert.equal(refused.status, 200);
    assert.equal(refused.response?.headers.get('grpc-status'), '8');
  });

  test('a new version of the listener does not fill a bucket of the mesh', () => {
    const { get, dispatch, send } = shop(envoys({}, 'weft.dev/local-ratelimit/shop/limits/all'));
    get();
    get();
    assert.equal(send({}, {}, dispatch()).status, 429);
  });
});

describe('limits by what a request is', () => {
  test('a bucket for each value of a header; those without it share one', () => {
    const { get } = shop(ours({ key: { kind: 'header', name: 'x-user' } }));
    const status = (...fields: string[]) => get(fields).status;
    assert.deepEqual([status('x-user', 'a'), status('x-user', 'a'), status('x-user', 'a')], [200, 200, 429]);
    assert.equal(status('x-user', 'b'), 200);
    assert.deepEqual([status(), status(), status()], [200, 200, 429]);
  });

  test('a bucket for each host, however it is written', () => {
    const { send } = shop(ours({ key: { kind: 'header', name: 'host' } }));
    const status = (authority: string) => send({ authority }).status;
    assert.deepEqual([status('a.example'), status('A.example'), status('a.example')], [200, 200, 429]);
    assert.equal(status('b.example'), 200);
  });

  test('a bucket for each path, whatever the query', () => {
    const { get } = shop(ours({ key: { kind: 'path' } }));
    assert.deepEqual(
      [get([], {}, '/a?1').status, get([], {}, '/a?2').status, get([], {}, '/a?3').status],
      [200, 200, 429],
    );
    assert.equal(get([], {}, '/b').status, 200);
  });

  test('a bucket for each caller', () => {
    const { get } = shop(ours({ key: { kind: 'identity' } }));
    const from = (remoteIp: string) => get([], { remoteIp }).status;
    assert.deepEqual([from('192.0.2.1'), from('192.0.2.1'), from('192.0.2.1')], [200, 200, 429]);
    assert.equal(from('192.0.2.2'), 200);
  });

  test('a limit is for what it matches, and what one refuses takes no token of another', () => {
    const post = {
      kind: 'header',
      match: { name: ':method', value: { kind: 'exact', value: 'POST', ignoreCase: false }, invert: false },
    } as const;
    const matches = [{ permissions: [post], principals: [{ kind: 'any' }] }] as const;
    const shopOf = shop(
      ours(
        { name: 'a', bucket: { ...bucket, tokensMax: 3 } },
        { name: 'b', matches, bucket: { ...bucket, tokensMax: 1 } },
      ),
    );
    const send = (method: string) => shopOf.send({ method }).status;
    assert.deepEqual([send('POST'), send('POST'), send('POST')], [200, 429, 429]);
    assert.deepEqual([send('GET'), send('GET'), send('GET')], [200, 200, 429]);
  });

  test('metrics tell what each limit did', () => {
    const { get, protection } = shop(ours({}));
    for (let i = 0; i < 3; i++) get();
    const text = protection.render();
    assert.match(text, /^weft_rate_limit_requests_total\{limit="shop\/limits\/some",outcome="admitted"\} 2$/m);
    assert.match(text, /^weft_rate_limit_requests_total\{limit="shop\/limits\/some",outcome="refused"\} 1$/m);
  });
});
