import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Rbac } from '@weft/policies/model/authorization';
import type { ExtAuthz } from '@weft/policies/model/ext-authz';
import type { HttpFilter } from '@weft/policies/model/listener';
import { Headers } from '../../http/headers.ts';
import { forwardTo, type Handler, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

const authz: ExtAuthz = {
  service: {
    kind: 'http',
    cluster: 'authz',
    uri: '',
    pathPrefix: '',
    headersToAdd: [],
    upstreamHeaders: [
      { kind: 'exact', value: 'x-user', ignoreCase: false },
      { kind: 'prefix', value: 'x-forwarded-', ignoreCase: false },
    ],
    upstreamHeadersToAppend: [],
    clientHeaders: undefined,
    clientHeadersOnSuccess: [],
  },
  timeoutMs: 100,
  failureAllowed: true,
  tellsFailure: true,
  errorStatus: 403,
  body: undefined,
  allowedHeaders: [{ kind: 'prefix', value: 'x', ignoreCase: false }],
  disallowedHeaders: [],
  validatesMutations: true,
  enabledBy: { prefix: 'ask_', value: { kind: 'present' } },
  statPrefix: 'login',
};
const asks: Rbac = {
  action: 'deny',
  policies: [
    {
      name: 'shop/ask/0',
      permissions: [{ kind: 'path', match: { kind: 'prefix', value: '/me', ignoreCase: false } }],
      principals: [{ kind: 'any' }],
    },
  ],
};
const filters: readonly HttpFilter[] = [
  {
    kind: 'reservedHeaders',
    name: 'weft.dev/reserved-headers',
    reserved: { names: ['x-user'], prefixes: ['x-forwarded-'] },
  },
  { kind: 'headerRemoval', name: 'weft.dev/reserved-names', headers: ['x-user', 'x_user'] },
  { kind: 'rbacShadow', name: 'rules', prefix: 'ask_', rbac: asks },
  { kind: 'extAuthz', name: 'login', authz },
  { kind: 'router' },
];

function shop(handler: Handler, used: readonly HttpFilter[] = filters) {
  const world = new World(7);
  for (const [name, ip] of [
    ['shop', '10.0.0.1'],
    ['authz', '10.0.0.9'],
  ] as const) {
    world.source.cluster(testCluster(name));
    world.source.assignment(name, [testEndpoint(ip, 80)]);
  }
  const app = world.server('10.0.0.1', 80);
  const authorizer = world.server('10.0.0.9', 80, handler);
  const hcm = testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }, { filters: used });
  const dispatch = world.dispatch({ ...hcm, trustedHops: 1 }, 'inbound');
  const send = (path: string, fields: readonly string[]): Headers | undefined => {
    world.send(dispatch, { path, headers: Headers.from(fields) });
    world.clock.advance(200);
    return app.requests.at(-1)?.head.headers;
  };
  return { world, authorizer, send };
}

const forged = ['X-User', 'root', 'x_user', 'root', 'X-Forwarded-Email', 'r@x', 'x-forwarded_groups', 'admin'];
const own = ['Authorization', 'Bearer t', 'Cookie', 'c=1', 'X-Forwarded-For', '192.0.2.9', 'X-Request-Id', 'r1'];
const isForged = (headers: Headers | undefined): boolean =>
  ['x-user', 'x_user', 'x-forwarded-email', 'x-forwarded_groups'].some((name) => headers?.has(name));

describe('headers that an authorizer sets for the application', () => {
  test('are not forged in a request that it is not asked about', () => {
    const { world, send, authorizer } = shop(() => ({ status: 200 }));
    const got = send('/public', [...forged, ...own]);
    assert.equal(isForged(got), false);
    assert.equal(authorizer.requests.length, 0);
    assert.equal(world.count('header.reserved_stripped'), 1);
    for (const name of ['authorization', 'cookie', 'x-request-id']) assert.equal(got?.has(name), true, name);
    assert.match(got?.get('x-forwarded-for') ?? '', /^192\.0\.2\.9/);
  });

  test('nor where it cannot be asked, and that is let pass', () => {
    const { send } = shop(() => 'reset');
    const got = send('/me', forged);
    assert.equal(got?.get('x-envoy-auth-failure-mode-allowed'), 'true');
    assert.equal(isForged(got), false);
  });

  test('nor where it says nothing of them; it sees none of them either', () => {
    const { send, authorizer } = shop(() => ({ status: 200 }));
    assert.equal(isForged(send('/me', forged)), false);
    assert.equal(isForged(authorizer.requests[0]?.head.headers), false);
  });

  test('are those that it set', () => {
    const { world, send } = shop(() => ({
      status: 200,
      headers: Headers.from(['X-User', 'ann', 'X-Forwarded-Email', 'a@x']),
    }));
    const got = send('/me', forged);
    assert.deepEqual(got?.getAll('x-user'), ['ann']);
    assert.deepEqual(got?.getAll('x-forwarded-email'), ['a@x']);
    assert.equal(got?.has('x_user'), false);
    assert.equal(world.count('header.reserved_stripped'), 1);
    send('/me', []);
    assert.equal(world.count('header.reserved_stripped'), 1, 'nothing to take off');
  });

  test('Envoy’s header_mutation takes off these names and no others', () => {
    const { send } = shop(
      () => ({ status: 200 }),
      [{ kind: 'headerRemoval', name: 'mutation', headers: ['x-user'] }, { kind: 'router' }],
    );
    const got = send('/', forged);
    assert.equal(got?.has('x-user'), false);
    assert.equal(got?.get('x_user'), 'root');
  });
});
