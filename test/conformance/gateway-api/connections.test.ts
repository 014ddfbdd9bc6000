/** TCPRoutes and TLSRoutes on Services: bytes that pass unread, by weight and by server name. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clusterIps, EchoMesh, route } from '../../support/echo-mesh.ts';
import { bytes, tls } from '../../support/mesh-callers.ts';

const rules = (refs: string): string => `rules: [{ backendRefs: [${refs}] }]`;
const on = (port: number): { readonly parent: string } => ({
  parent: `{ group: "", kind: Service, name: echo, port: ${port} }`,
});

describe('routes of connections', () => {
  let mesh: EchoMesh;
  before(async () => {
    mesh = await EchoMesh.start();
  });
  after(() => mesh.stop());

  const said = async (port: number): Promise<string> => bytes(await mesh.caller(), clusterIps.echo, port);
  const named = async (name: string | undefined): Promise<string> =>
    tls(await mesh.caller(), clusterIps.echo, 443, name);
  const counted = async (count: number, ask: () => Promise<string>): Promise<ReadonlyMap<string, number>> => {
    const counts = new Map<string, number>();
    for (let sent = 0; sent < count; sent++) {
      const answer = await ask();
      counts.set(answer, (counts.get(answer) ?? 0) + 1);
    }
    return counts;
  };
  /** Shares of chance: five standard deviations. */
  const near = (value: number | undefined, wanted: number, of: number): void => {
    const slack = 5 * Math.sqrt(wanted * (1 - wanted / of));
    assert.ok(Math.abs((value ?? 0) - wanted) <= slack, `${value} is not about ${wanted}`);
  };

  test('without a route connections go to the Service', async () => {
    mesh.routes('');
    assert.match(await said(9090), /^echo-v[12]$/);
    assert.match(await named('a.example'), /^echo-v[12]$/);
  });

  test('TCPRouteRule.backendRefs: by weight, and the share of an invalid backend is refused', async () => {
    const refs =
      '{ name: echo-v1, port: 9090, weight: 2 }, { name: echo-v2, port: 9090 }, { name: missing, port: 9090 }';
    mesh.routes(route('TCPRoute', rules(refs), on(9090)));
    const counts = await counted(160, () => said(9090));
    near(counts.get('echo-v1'), 80, 160);
    near(counts.get('echo-v2'), 40, 160);
    near(counts.get('ECONNRESET'), 40, 160);
    assert.equal(counts.size, 3, [...counts.keys()].join());
  });

  test('a weight of 0, alone, refuses all', async () => {
    mesh.routes(route('TCPRoute', rules('{ name: echo-v1, port: 9090, weight: 0 }'), on(9090)));
    assert.equal(await said(9090), 'ECONNRESET');
  });

  test('a TCPRoute takes a port that is declared as HTTP, until an HTTPRoute does', async () => {
    const tcp = route('TCPRoute', rules('{ name: echo-v2, port: 9090 }'), {
      ...on(80),
      created: '2020-01-01T00:00:00Z',
    });
    mesh.routes(tcp);
    assert.equal(await said(80), 'echo-v2');
    mesh.routes(`${tcp}---${route('HTTPRoute', rules('{ name: echo-v1, port: 80 }'), on(80))}`);
    assert.equal((await mesh.get('/')).echo?.pod, 'echo-v1');
  });

  test('GEP-2644: of several TCPRoutes the oldest takes all connections', async () => {
    mesh.routes(
      [
        route('TCPRoute', rules('{ name: echo-v1, port: 9090 }'), { ...on(9090), name: 'a' }),
        route('TCPRoute', rules('{ name: echo-v2, port: 9090 }'), {
          ...on(9090),
          name: 'b',
          created: '2025-01-01T00:00:00Z',
        }),
      ].join('---'),
    );
    assert.deepEqual([...(await counted(8, () => said(9090))).keys()], ['echo-v2']);
  });

  test('TLSRouteSpec.hostnames: by server name, the exact before the longest wildcard; others are refused', async () => {
    mesh.routes(
      [
        route('TLSRoute', `hostnames: ["*.shop.example", other.example]\n${rules('{ name: echo-v1, port: 443 }')}`, {
          ...on(443),
          name: 'wide',
        }),
        route('TLSRoute', `hostnames: [a.shop.example]\n${rules('{ name: echo-v2, port: 443 }')}`, {
          ...on(443),
          name: 'narrow',
        }),
      ].join('---'),
    );
    const cases: readonly (readonly [name: string | undefined, answer: RegExp])[] = [
      ['a.shop.example', /^echo-v2$/],
      ['b.shop.example', /^echo-v1$/],
      ['x.b.shop.example', /^echo-v1$/],
      ['other.example', /^echo-v1$/],
      ['shop.example', /ECONNRESET|closed|EPIPE/],
      [undefined, /ECONNRESET|closed|EPIPE/],
    ];
    for (const [name, answer] of cases) assert.match(await named(name), answer, String(name));
  });

  test('TLSRouteRule.backendRefs: the share of an invalid backend is refused', async () => {
    const refs = '{ name: echo-v1, port: 443 }, { name: missing, port: 443 }';
    mesh.routes(route('TLSRoute', `hostnames: [a.example]\n${rules(refs)}`, on(443)));
    const counts = await counted(80, () => named('a.example'));
    near(counts.get('echo-v1'), 40, 80);
    assert.equal(counts.get('echo-v2'), undefined);
  });

  test('GEP-1294, Route types: a TLSRoute comes before a TCPRoute', async () => {
    mesh.routes(
      [
        route('TCPRoute', rules('{ name: echo-v1, port: 443 }'), {
          ...on(443),
          name: 't',
          created: '2020-01-01T00:00:00Z',
        }),
        route('TLSRoute', `hostnames: [a.example]\n${rules('{ name: echo-v2, port: 443 }')}`, {
          ...on(443),
          name: 's',
        }),
      ].join('---'),
    );
    assert.equal(await named('a.example'), 'echo-v2');
    assert.notEqual(await named('b.example'), 'echo-v1');
  });
});
