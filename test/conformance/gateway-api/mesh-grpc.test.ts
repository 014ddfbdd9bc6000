/** The upstream suite's mesh tests of GRPCRoute, restated by their rules, and what the specification says of calls. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EchoMesh, route } from '../../support/echo-mesh.ts';
import type { GrpcChannel } from '../../support/mesh-callers.ts';
import { waitFor } from '../../support/wait.ts';

const parent = { parent: '{ group: "", kind: Service, name: echo, port: 7070 }' };
const v1 = 'backendRefs: [{ name: echo-v1, port: 7070 }]';
const v2 = 'backendRefs: [{ name: echo-v2, port: 7070 }]';
const rules = (...all: readonly string[]): string =>
  `rules:\n${all.map((rule) => `  - ${rule.replace(/\n/g, '\n    ')}`).join('\n')}`;

/** Codes of gRPC. */
const OK = 0;
const UNIMPLEMENTED = 12;
const UNAVAILABLE = 14;

describe('GRPCRoutes of a mesh', () => {
  let mesh: EchoMesh;
  let channel: GrpcChannel;
  before(async () => {
    mesh = await EchoMesh.start();
    channel = await mesh.channel();
  });
  after(() => {
    channel.close();
    mesh.stop();
  });

  const apply = (...all: readonly string[]): void => mesh.routes(route('GRPCRoute', rules(...all), parent));
  const share = async (count: number): Promise<ReadonlyMap<string, number>> => {
    const counts = new Map<string, number>();
    for (let sent = 0; sent < count; sent++) {
      const { echo, status } = await channel.call('/shop.Cart/Get');
      const key = echo?.pod ?? String(status);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  };
  const near = (value: number | undefined, wanted: number): void =>
    assert.ok(Math.abs((value ?? 0) - wanted) <= wanted * 0.25, `${value} is not about ${wanted}`);

  test('MeshGRPCRouteWeight: shares by weight, and nothing for weight 0', async () => {
    apply(
      'backendRefs: [{ name: echo-v1, port: 7070, weight: 70 }, { name: echo-v2, port: 7070, weight: 30 }, { name: echo, port: 7070, weight: 0 }]',
    );
    const counts = await share(500);
    near(counts.get('echo-v1'), 350);
    near(counts.get('echo-v2'), 150);
  });

  test('MeshGRPCRouteRequestHeaderModifier', async () => {
    const modifier = (value: string, header: string, backend: string): string =>
      `matches: [{ headers: [{ name: x-test-case, value: ${header} }] }]\nfilters: [{ type: RequestHeaderModifier, requestHeaderModifier: ${value} }]\n${backend}`;
    apply(
      modifier('{ set: [{ name: x-set, value: new }] }', 'set', v1),
      modifier('{ add: [{ name: x-add, value: more }] }', 'add', v1),
      modifier('{ remove: [x-remove] }', 'remove', v1),
      modifier('{ set: [{ name: x-set, value: s }], add: [{ name: x-add, value: a }], remove: [x-remove] }', 'all', v2),
    );
    const sent = { 'x-set': 'old', 'x-add': 'first', 'x-remove': 'gone' };
    const cases = [
      ['set', 'echo-v1', { 'x-set': 'new', 'x-add': 'first', 'x-remove': 'gone' }],
      ['add', 'echo-v1', { 'x-set': 'old', 'x-add': 'first, more', 'x-remove': 'gone' }],
      ['remove', 'echo-v1', { 'x-set': 'old', 'x-add': 'first', 'x-remove': undefined }],
      ['all', 'echo-v2', { 'x-set': 's', 'x-add': 'first, a', 'x-remove': undefined }],
    ] as const;
    for (const [header, pod, seen] of cases) {
      const { echo } = await channel.call('/shop.Cart/Get', { ...sent, 'x-test-case': header });
      assert.equal(echo?.pod, pod, header);
      for (const [name, value] of Object.entries(seen)) assert.equal(echo?.headers[name], value, `${header} ${name}`);
    }
    assert.equal((await channel.call('/shop.Cart/Get', { 'x-test-case': 'other' })).status, UNIMPLEMENTED);
  });

  test('MeshGRPCRouteRequestMirror: the answer is of the backend, and the mirror gets a copy', async () => {
    apply(`filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: echo-v2, port: 7070 } } }]\n${v1}`);
    const before = mesh.calls('v2', '/shop.Mirror/Get');
    for (let sent = 0; sent < 5; sent++) assert.equal((await channel.call('/shop.Mirror/Get')).echo?.pod, 'echo-v1');
    await waitFor('five copies', () => (mesh.calls('v2', '/shop.Mirror/Get') - before === 5 ? true : undefined));
  });

  test('GRPCRouteMatch.method: exact, service only, method only, expressions; what is most specific wins', async () => {
    apply(
      `matches: [{ method: { service: shop.Cart } }]\n${v1}`,
      `matches: [{ method: { service: shop.Cart, method: Put } }]\n${v2}`,
      `matches: [{ method: { method: List } }]\n${v2}`,
      `matches: [{ method: { type: RegularExpression, service: "shop[.](Offer|Price)", method: "Get.*" } }]\n${v1}`,
    );
    const cases: readonly (readonly [path: string, pod: string | undefined])[] = [
      ['/shop.Cart/Get', 'echo-v1'],
      ['/shop.Cart/Put', 'echo-v2'],
      ['/shop.Cart/List', 'echo-v1'],
      ['/shop.Carts/Get', undefined],
      ['/shop.cart/Get', undefined],
      ['/other.Service/List', 'echo-v2'],
      ['/other.Service/Listen', undefined],
      ['/shop.Price/GetAll', 'echo-v1'],
      ['/shop.Price/Put', undefined],
      ['/a.shop.Price/Get', undefined],
    ];
    for (const [path, pod] of cases) {
      const { status, echo } = await channel.call(path);
      assert.deepEqual([echo?.pod, status], [pod, pod === undefined ? UNIMPLEMENTED : OK], path);
    }
  });

  test('GRPCRouteRule.backendRefs: an invalid backend is UNAVAILABLE for its share, or for all', async () => {
    apply('backendRefs: [{ name: echo-v1, port: 7070 }, { name: missing, port: 7070 }]');
    const counts = await share(300);
    near(counts.get('echo-v1'), 150);
    near(counts.get(String(UNAVAILABLE)), 150);
    for (const refs of [
      'backendRefs: []',
      'backendRefs: [{ name: missing, port: 7070 }]',
      'backendRefs: [{ name: echo-v1, port: 7070, weight: 0 }]',
    ]) {
      apply(refs);
      assert.equal((await channel.call('/shop.Cart/Get')).status, UNAVAILABLE, refs);
    }
  });

  test('a route without rules matches nothing, and what is no call is matched by no GRPCRoute', async () => {
    mesh.routes(route('GRPCRoute', 'rules: []', parent));
    assert.equal((await channel.call('/shop.Cart/Get')).status, UNIMPLEMENTED);
    apply(v1);
    assert.equal((await channel.call('/shop.Cart/Get')).status, OK);
    assert.equal((await mesh.get('/shop.Cart/Get', { port: 7070, method: 'POST' })).status, 404);
  });

  test('GRPCRouteFilter.type: an extension that nobody knows is an error, not skipped', async () => {
    apply(`filters: [{ type: ExtensionRef, extensionRef: { group: example.com, kind: Plugin, name: p } }]\n${v1}`);
    assert.equal((await channel.call('/shop.Cart/Get')).status, UNAVAILABLE);
  });

  test('GEP-1294, Route types: calls go by the GRPCRoute although an HTTPRoute is older', async () => {
    const http = route('HTTPRoute', rules(v2), { ...parent, name: 'http', created: '2020-01-01T00:00:00Z' });
    mesh.routes(`${http}---${route('GRPCRoute', rules(v1), parent)}`);
    assert.equal((await channel.call('/shop.Cart/Get')).echo?.pod, 'echo-v1');
    mesh.routes(http);
    assert.equal((await channel.call('/shop.Cart/Get')).echo?.pod, 'echo-v2');
  });

  test('GRPCRouteRule.matches: the oldest route wins a tie, then its name', async () => {
    const old = { ...parent, created: '2025-01-01T00:00:00Z' };
    mesh.routes(
      [
        route('GRPCRoute', rules(v2), { ...parent, name: 'a' }),
        route('GRPCRoute', rules(v1), { ...old, name: 'c' }),
        route('GRPCRoute', rules(v2), { ...old, name: 'd' }),
      ].join('---'),
    );
    for (let sent = 0; sent < 5; sent++) assert.equal((await channel.call('/a/b')).echo?.pod, 'echo-v1');
  });
});
