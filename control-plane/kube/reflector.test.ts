/** Against a server that speaks just enough of the Kubernetes API, over plain HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from './client.ts';
import { Reflector } from './reflector.ts';
import { apiVersionOf, collectionPaths, objectPath, ServedVersions } from './resources.ts';

const item = { metadata: { name: 'r', namespace: 'shop', resourceVersion: '5' } };

describe('a kind of which a cluster may serve several versions, or none', () => {
  /** Paths of collections that are served. */
  const served = new Set<string>();
  const watches = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (!served.has(url.pathname)) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"not found"}');
      return;
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    if (url.searchParams.has('resourceVersion')) {
      watches.add(response);
      response.flushHeaders();
    } else response.end(JSON.stringify({ metadata: { resourceVersion: '5' }, items: [item] }));
  });
  let client: KubeClient;
  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const bound = server.address();
    assert.ok(typeof bound === 'object' && bound !== null);
    const config = new KubeConfig();
    config.loadFromOptions({
      clusters: [{ name: 'c', server: `http://127.0.0.1:${bound.port}`, skipTLSVerify: true }],
      users: [{ name: 'u' }],
      contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
      currentContext: 'x',
    });
    client = new KubeClient(config);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const [v1, v1alpha2] = ['v1', 'v1alpha2'].map((version) => `/apis/gateway.networking.k8s.io/${version}/tcproutes`);
  assert.ok(v1 !== undefined && v1alpha2 !== undefined);

  async function firstList(): Promise<{ readonly path: string | undefined; readonly applied: number }> {
    let applied = 0;
    return new Promise((resolve) => {
      const reflector = new Reflector({
        client,
        paths: collectionPaths('TCPRoute'),
        events: {
          apply: () => {
            applied += 1;
          },
          remove: () => undefined,
          failed: (error) => assert.fail(error.message),
          synced: (path) => {
            reflector.stop();
            resolve({ path, applied });
          },
        },
      });
      reflector.start();
    });
  }

  test('the newest that is served is read; without one there is nothing, and nothing fails', async () => {
    assert.deepEqual(await firstList(), { path: undefined, applied: 0 });
    served.add(v1alpha2);
    assert.deepEqual(await firstList(), { path: v1alpha2, applied: 1 });
    served.add(v1);
    assert.deepEqual(await firstList(), { path: v1, applied: 1 });
  });

  test('statuses are written in the version that was read', () => {
    const versions = new ServedVersions();
    assert.equal(
      objectPath('TCPRoute', 'shop/r', versions),
      '/apis/gateway.networking.k8s.io/v1/namespaces/shop/tcproutes/r',
    );
    versions.answered('TCPRoute', v1alpha2);
    assert.equal(apiVersionOf('TCPRoute', versions), 'gateway.networking.k8s.io/v1alpha2');
    assert.equal(
      objectPath('TCPRoute', 'shop/r', versions),
      '/apis/gateway.networking.k8s.io/v1alpha2/namespaces/shop/tcproutes/r',
    );
    versions.answered('TCPRoute', v1);
    assert.equal(apiVersionOf('TCPRoute', versions), 'gateway.networking.k8s.io/v1');
  });
});
