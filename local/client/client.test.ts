import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { createKubeClient } from './client.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import type { KubeObject } from './objects.ts';
import { createKeyQueue } from './queue.ts';
import { startReflector } from './reflector.ts';

async function serving(
  handler: Parameters<typeof createServer>[1],
): Promise<{ readonly url: URL; readonly server: Server }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { url: new URL(`http://127.0.0.1:${address.port}`), server };
}

test('a kubeconfig is read by its current context; what is missing is named', () => {
  const good = parseKubeconfig(
    'current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: Y2E=}}]\nusers: [{name: u, user: {token: t}}]',
  );
  assert.ok(good.ok);
  assert.equal(good.connection.caPem, 'ca');
  assert.equal(good.connection.token, 't');
  const bad = parseKubeconfig('current-context: a\ncontexts: []');
  assert.ok(!bad.ok);
  assert.match(bad.message, /context a is not defined/);
});

test('a reflector lists, follows the watch, and lists again after 410', async () => {
  let lists = 0;
  const item = (name: string, version: string): KubeObject => ({ metadata: { name, resourceVersion: version } });
  const { url, server } = await serving((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (!request.url?.includes('watch=1')) {
      lists += 1;
      const items = lists === 1 ? [item('a', '1')] : [item('c', '9')];
      response.end(JSON.stringify({ metadata: { resourceVersion: lists === 1 ? '1' : '9' }, items }));
    } else if (request.url.includes('resourceVersion=1')) {
      response.write(
        `${JSON.stringify({ type: 'ADDED', object: item('b', '2') })}\n${JSON.stringify({ type: 'DEL' })}\n`,
      );
      response.end(`${JSON.stringify({ type: 'ERROR', object: { code: 410 } })}\n`);
    }
  });
  const client = createKubeClient({ server: url, insecureSkipVerify: false });
  const seen: string[] = [];
  const reflector = startReflector(client, '/api/v1/things');
  const done = new Promise<void>((resolve) => {
    reflector.onChange((key, now) => {
      seen.push(`${now === undefined ? '-' : '+'}${key}`);
      if (seen.length === 5) resolve();
    });
  });
  await done;
  assert.deepEqual(seen.slice(0, 2), ['+a', '+b']);
  assert.deepEqual(seen.slice(2).sort(), ['+c', '-a', '-b']);
  assert.deepEqual(
    reflector.list().map(({ metadata }) => metadata.name),
    ['c'],
  );
  reflector.close();
  client.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('key queue', () => {
  test('a key never runs twice at once and runs again when added meanwhile', async () => {
    let running = 0;
    let runs = 0;
    let release: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const finished = new Promise<void>((resolve) => {
      const queue = createKeyQueue({
        work: async () => {
          running += 1;
          assert.equal(running, 1);
          runs += 1;
          if (runs === 1) await gate;
          running -= 1;
          if (runs === 2) resolve();
          return 'done';
        },
      });
      queue.add('k');
      queue.add('k');
      setImmediate(() => {
        queue.add('k');
        queue.add('k');
        release();
      });
    });
    await finished;
    assert.equal(runs, 2);
  });

  test('a failure is tried again', async () => {
    let runs = 0;
    await new Promise<void>((resolve) => {
      const queue = createKeyQueue({
        work: async () => {
          runs += 1;
          if (runs === 1) throw new Error('once');
          resolve();
          return 'done';
        },
      });
      queue.add('k');
    });
    assert.equal(runs, 2);
  });
});
