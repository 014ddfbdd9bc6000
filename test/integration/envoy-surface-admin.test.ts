/** Where the admin interface listens, and what draining by it does, on Weft and on a real Envoy. */
import assert from 'node:assert/strict';
import { rmSync, statSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cluster, httpListener, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { freePort } from '../support/pair-process.ts';
import { adminPage, adminPost, startSidecar } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { exchange, get, type Subject, Surface, same } from './envoy-surface.fixture.ts';

const surface = new Surface('surface-admin');

after(() => surface.close());

const refused = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });

async function withAdmin(admin: JsonObject): Promise<string> {
  const at = { ip: '127.0.0.1', port: await freePort() };
  const listeners = [httpListener({ name: 'l', at, direction: 'INBOUND', routes: [] })];
  return JSON.stringify({
    node: { id: 'x', cluster: 'c' },
    admin: { address: admin },
    static_resources: { listeners },
  });
}

const ready = (socketPath: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/ready' }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    asked.on('error', reject).end();
  });

describe('admin', { timeout: 60_000 }, () => {
  test('on a Unix socket, for the user of the proxy alone', async () => {
    const path = join(surface.folder, 'admin.sock');
    const program = await startSidecar(surface.folder, await withAdmin({ pipe: { path } }));
    surface.programs.push(program);
    assert.equal(await ready(path), '200 LIVE\n');
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.doesNotMatch(program.stderr, /warning/);
    await program.stop();
    rmSync(path, { force: true });
  });

  test('where everybody can reach it, it is said once', async () => {
    const port = await freePort();
    const admin = { socket_address: { address: '0.0.0.0', port_value: port } };
    const program = await startSidecar(surface.folder, await withAdmin(admin));
    surface.programs.push(program);
    assert.equal(program.stderr.match(/warning: admin listens on 0\.0\.0\.0:\d+/g)?.length, 1);
  });

  test('where endpoints are, and what they are called, is shown', async () => {
    const socket_address = { address: '127.0.0.1', port_value: await freePort() };
    const endpoints = [
      {
        locality: { region: 'eu', zone: 'eu-1', sub_zone: 'rack-7' },
        lb_endpoints: [{ endpoint: { hostname: 'app.test', address: { socket_address } } }],
      },
    ];
    const at = { ip: '127.0.0.1', port: await freePort() };
    const both = await surface.startBoth({
      managers: { l: {} },
      routes: [route('r', '/', 'app')],
      clusters: [
        cluster({ name: 'app', endpoints: [], fields: { load_assignment: { cluster_name: 'app', endpoints } } }),
        cluster({ name: 'nowhere', endpoints: [at] }),
      ],
    });
    const shown = async ({ adminPort }: Subject) => {
      const { text } = await adminPage(adminPort, '/clusters');
      const { cluster_statuses } = JSON.parse((await adminPage(adminPort, '/clusters?format=json')).text);
      const lines = text.split('\n').filter((line) => /::(hostname|region|zone|sub_zone)::/.test(line));
      return [
        lines.map((line) => line.replace(/:\d+::/, '::')).toSorted(),
        cluster_statuses
          .map(({ name, host_statuses: [host] }: { name: string; host_statuses: Record<string, unknown>[] }) =>
            JSON.stringify([name, host?.['hostname'], host?.['locality']]),
          )
          .toSorted(),
      ];
    };
    await same(both, shown, [
      [
        'app::127.0.0.1::hostname::app.test',
        'app::127.0.0.1::region::eu',
        'app::127.0.0.1::sub_zone::rack-7',
        'app::127.0.0.1::zone::eu-1',
        'nowhere::127.0.0.1::hostname::',
        'nowhere::127.0.0.1::region::',
        'nowhere::127.0.0.1::sub_zone::',
        'nowhere::127.0.0.1::zone::',
      ],
      ['["app","app.test",{"region":"eu","zone":"eu-1","sub_zone":"rack-7"}]', '["nowhere",null,{}]'],
    ]);
  });

  test('listeners that are drained accept nothing, and answer who is connected', async () => {
    const app = await surface.listen(createServer((_request, response) => void response.end('ok')));
    const both = await surface.startBoth({
      managers: { l: {} },
      routes: [route('r', '/', 'app')],
      clusters: [cluster({ name: 'app', endpoints: [app] })],
    });
    await same(
      both,
      async ({ ports, adminPort }) => {
        const port = ports['l'] ?? 0;
        // Connected and used before, asked again after.
        const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(get('/1')));
        let text = '';
        socket.on('error', () => undefined);
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1');
        });
        await waitFor('an answer', () => text.endsWith('ok') || text.includes('\r\n0\r\n\r\n') || undefined);
        assert.equal(await adminPost(adminPort, '/drain_listeners'), 200);
        await waitFor('no more connections', async () => (await refused(port)) || undefined);
        socket.destroy();
        return refused(port);
      },
      true,
    );
  });

  test('a request under way when listeners are drained is answered, and its connection closed', async () => {
    let answer: (() => void) | undefined;
    const app = await surface.listen(
      createServer((_request, response) => {
        answer = () => response.end('late');
      }),
    );
    const [weft] = await surface.startBoth({
      managers: { l: {} },
      routes: [route('r', '/', 'app')],
      clusters: [cluster({ name: 'app', endpoints: [app] })],
    });
    const asked = exchange(weft.ports['l'] ?? 0, get('/'));
    await waitFor('the request', () => answer);
    assert.equal(await adminPost(weft.adminPort, '/drain_listeners'), 200);
    answer?.();
    assert.match(await asked, /connection: close[\s\S]*late/i);
  });
});
