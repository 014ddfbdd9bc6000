import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CorsPolicy } from '@weft/policies/model/cors';
import { always } from '@weft/policies/model/fraction';
import { noMutation } from '@weft/policies/model/route';
import { CORS_FILTER } from '@weft/policies/model/route-filter';
import { Headers } from '../../http/headers.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const policy: CorsPolicy = {
  allowOrigins: [{ kind: 'exact', value: 'https://shop.example', ignoreCase: true }],
  allowMethods: 'GET, PUT',
  allowHeaders: 'x-a, x-b',
  exposeHeaders: 'x-c',
  maxAge: '600',
  allowCredentials: true,
  forwardsUnmatched: false,
  enabled: always,
};

function shop(overrides: Partial<CorsPolicy> = {}, changes: Partial<ReturnType<typeof forwardTo>> = {}) {
  const world = new World();
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  const server = world.server('10.0.0.1', 80);
  const filters = [{ kind: 'cors' as const, name: CORS_FILTER, cors: { ...policy, ...overrides } }];
  const dispatch = world.dispatch(
    testHcm(
      { kind: 'inline', config: routes('r', { ...forwardTo('shop'), ...changes, filters }) },
      { filters: [{ kind: 'cors', name: CORS_FILTER }, { kind: 'router' }] },
    ),
  );
  const send = (method: string, ...fields: string[]) => {
    const exchange = world.send(dispatch, { method, headers: Headers.from(fields) });
    world.clock.advance(1);
    return exchange;
  };
  return { world, server, send };
}

const asked = ['Access-Control-Request-Method', 'PUT', 'Access-Control-Request-Headers', 'x-a,x-z'];
const allowed = (exchange: ReturnType<ReturnType<typeof shop>['send']>, name: string) =>
  exchange.response?.headers.get(`access-control-${name}`);

describe('CORS', () => {
  test('a preflight is answered here', () => {
    const { send, server } = shop();
    const exchange = send('OPTIONS', 'Origin', 'https://shop.example', ...asked);
    assert.equal(exchange.status, 200);
    assert.equal(server.requests.length, 0);
    assert.equal(allowed(exchange, 'allow-origin'), 'https://shop.example');
    assert.equal(allowed(exchange, 'allow-methods'), 'GET, PUT');
    assert.equal(allowed(exchange, 'allow-headers'), 'x-a, x-b');
    assert.equal(allowed(exchange, 'allow-credentials'), 'true');
    assert.equal(allowed(exchange, 'max-age'), '600');
    assert.equal(allowed(exchange, 'expose-headers'), 'x-c');
  });

  test('a preflight of another origin is answered without permission', () => {
    const { send, server } = shop();
    const exchange = send('OPTIONS', 'Origin', 'https://evil.example', ...asked);
    assert.equal(exchange.status, 200);
    assert.equal(exchange.response?.headers.length, 0);
    assert.equal(server.requests.length, 0);
  });

  test('what a route adds to responses is not added to a preflight, as in Envoy', () => {
    const responseHeaders = { ...noMutation, add: [{ name: 'x-added', value: 'a' }] };
    const { send, server } = shop({}, { responseHeaders });
    for (const origin of ['https://shop.example', 'https://evil.example']) {
      const exchange = send('OPTIONS', 'Origin', origin, ...asked);
      assert.equal(exchange.status, 200);
      assert.equal(exchange.response?.headers.has('x-added'), false, origin);
    }
    assert.equal(server.requests.length, 0);
  });

  test('or forwarded, where the policy says so', () => {
    const { send, server } = shop({ forwardsUnmatched: true });
    assert.equal(send('OPTIONS', 'Origin', 'https://evil.example', ...asked).body, 'ok');
    assert.equal(server.requests.length, 1);
  });

  test('OPTIONS that is no preflight goes on', () => {
    const { send, server } = shop();
    send('OPTIONS', 'Origin', 'https://shop.example');
    assert.equal(server.requests.length, 1);
  });

  test('`*` with credentials is answered with what was asked for', () => {
    const { send } = shop({
      allowOrigins: [{ kind: 'exact', value: '*', ignoreCase: false }],
      allowMethods: '*',
      allowHeaders: '*',
    });
    const exchange = send('OPTIONS', 'Origin', 'https://any.example', ...asked);
    assert.equal(allowed(exchange, 'allow-origin'), 'https://any.example');
    assert.equal(allowed(exchange, 'allow-methods'), 'PUT');
    assert.equal(allowed(exchange, 'allow-headers'), 'x-a,x-z');
  });

  test('an answer of the upstream may be read by the origin, and by no other', () => {
    const { send } = shop();
    const exchange = send('GET', 'Origin', 'https://SHOP.example');
    assert.equal(exchange.body, 'ok');
    assert.equal(allowed(exchange, 'allow-origin'), 'https://SHOP.example');
    assert.equal(allowed(exchange, 'expose-headers'), 'x-c');
    assert.equal(allowed(send('GET', 'Origin', 'https://evil.example'), 'allow-origin'), undefined);
    assert.equal(allowed(send('GET'), 'allow-origin'), undefined);
  });

  test('so may an answer of our own, which a page has to see to know what went wrong', () => {
    const { send, world } = shop();
    world.source.assignment('shop', []);
    const exchange = send('GET', 'Origin', 'https://shop.example');
    assert.equal(exchange.status, 503);
    assert.equal(allowed(exchange, 'allow-origin'), 'https://shop.example');
  });
});
