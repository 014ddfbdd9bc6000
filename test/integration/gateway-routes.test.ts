/** One route of each kind through a sidecar's real data path; the whole of it is in test/conformance/gateway-api. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { clusterIps, EchoMesh, route } from '../support/echo-mesh.ts';
import { bytes, tls } from '../support/mesh-callers.ts';

const parent = (port: number): { readonly parent: string } => ({
  parent: `{ group: "", kind: Service, name: echo, port: ${port} }`,
});
const rules = (refs: string): string => `rules: [{ backendRefs: [${refs}] }]`;

describe('routes of the Gateway API on a Service', () => {
  let mesh: EchoMesh;
  before(async () => {
    mesh = await EchoMesh.start();
  });
  after(() => mesh.stop());

  test('HTTPRoute: a match has a backend, no match is a 404, no backend a 500', async () => {
    mesh.routes(
      route(
        'HTTPRoute',
        'rules: [{ matches: [{ path: { value: /a } }], backendRefs: [{ name: echo-v2, port: 8080 }] }, { matches: [{ path: { value: /b } }] }]',
      ),
    );
    assert.equal((await mesh.get('/a')).echo?.pod, 'echo-v2');
    assert.equal((await mesh.get('/')).status, 404);
    assert.equal((await mesh.get('/b')).status, 500);
  });

  test('GRPCRoute: a service has a backend, another is UNIMPLEMENTED', async () => {
    const matched =
      'rules: [{ matches: [{ method: { service: shop.Cart } }], backendRefs: [{ name: echo-v2, port: 7070 }] }]';
    mesh.routes(route('GRPCRoute', matched, parent(7070)));
    const channel = await mesh.channel();
    assert.equal((await channel.call('/shop.Cart/Get')).echo?.pod, 'echo-v2');
    assert.equal((await channel.call('/shop.Other/Get')).status, 12);
    channel.close();
  });

  test('TCPRoute and TLSRoute: connections go to the backend, those to nobody are refused', async () => {
    mesh.routes(
      [
        route('TCPRoute', rules('{ name: echo-v2, port: 9090 }'), { ...parent(9090), name: 'tcp' }),
        route('TLSRoute', `hostnames: [a.example]\n${rules('{ name: echo-v2, port: 443 }')}`, {
          ...parent(443),
          name: 'tls',
        }),
      ].join('---'),
    );
    const caller = await mesh.caller();
    assert.equal(await bytes(caller, clusterIps.echo, 9090), 'echo-v2');
    assert.equal(await tls(caller, clusterIps.echo, 443, 'a.example'), 'echo-v2');
    assert.doesNotMatch(await tls(caller, clusterIps.echo, 443, 'b.example'), /echo/);
  });
});
