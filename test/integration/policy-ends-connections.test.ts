/** What is open when rules change: tunnels and opaque connections that they would refuse end, requests ask them anyway. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Rbac } from '@weft/policies/model/authorization';
import type { Listener } from '@weft/policies/model/listener';
import { createDataPlane, type DataPlane } from '@weft/sidecar/data-plane';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { ReplicaSource } from '@weft/sidecar/threads/replica-source';
import { clusterTo, routesTo } from '../support/one-route.ts';
import { waitFor } from '../support/wait.ts';
import { chain, http, listener, TestCertificates } from './listener-rig.fixture.ts';

const origin = createServer((_, response) => response.end('ok\n'));
const recorder = new TestRecorder();
const source = new ReplicaSource({
  clock: systemClock,
  waitersMax: 10,
  wantedMax: 10,
  complete: true,
  want: () => undefined,
  count: () => undefined,
});
let plane: DataPlane;
let port = 0;

const denies = (name: string, path: string): Rbac => ({
  action: 'deny',
  policies: [
    {
      name,
      permissions: [{ kind: 'path', match: { kind: 'prefix', value: path, ignoreCase: false } }],
      principals: [{ kind: 'any' }],
    },
  ],
});

function inbound(rbac: Rbac | undefined): Listener {
  const manager = http('application');
  const filters = rbac === undefined ? [] : [{ kind: 'rbac' as const, name: 'authorization', rbac }];
  const terminal = {
    ...manager,
    filters,
    route: {
      kind: 'inline' as const,
      config: routesTo('application', { pathRewrite: { kind: 'prefix', value: '/elsewhere/' } }),
    },
  };
  return listener('inbound', { addresses: [{ ip: '127.0.0.1', port }], filterChains: [chain(terminal)] });
}

const useRules = (rbac: Rbac | undefined): string | undefined =>
  source.apply([{ kind: 'listener', name: 'inbound', entry: { value: inbound(rbac) } }]);

before(async () => {
  origin.on('upgrade', (_request, socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    socket.pipe(socket);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const originPort = (origin.address() as AddressInfo).port;
  source.apply([
    { kind: 'cluster', name: 'application', entry: { value: clusterTo('application', originPort, undefined) } },
    { kind: 'listener', name: 'inbound', entry: { value: inbound(undefined) } },
  ]);
  plane = createDataPlane({
    source,
    listenerNames: ['inbound'],
    certificates: new TestCertificates(undefined),
    recorder,
    clock: systemClock,
    prng: systemPrng,
    ownIps: new Set(),
  });
  const started = await plane.listeners.start();
  assert.ok(started.ok);
  port = plane.listeners.stats()[0]?.addresses[0]?.port ?? 0;
});

after(() => {
  plane?.listeners.close();
  plane?.clusters.close();
  origin.close();
  origin.closeAllConnections();
});

/** A socket that has upgraded, and echoes. */
async function tunnel(path: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
  const [head]: Buffer[] = await once(socket, 'data');
  assert.match(String(head), /^HTTP\/1.1 101 /);
  assert.equal(await said(socket, 'hello'), 'hello');
  return socket;
}

async function said(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [answer]: Buffer[] = await once(socket, 'data');
  return String(answer);
}

describe('a rule that comes while connections are open', () => {
  test('ends the tunnels that it refuses, by the path that they asked for, and no others', async () => {
    const chat = await tunnel('/chat');
    const other = await tunnel('/other');
    const closed = new Promise((resolve) => chat.once('close', resolve));
    assert.equal(useRules(denies('shop/no-chat', '/chat')), undefined);
    await closed;
    assert.equal(await said(other, 'still'), 'still');
    other.destroy();
    const record = await waitFor('the record that names the rule', () =>
      recorder.records.find((one) => one.rule === 'shop/no-chat'),
    );
    assert.equal(record.flag, 'UAEX');
    useRules(undefined);
  });

  test('refuses the next request on a connection that is kept', async () => {
    const socket = connect(port, '127.0.0.1');
    assert.match(await said(socket, 'GET /kept HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1.1 200 /);
    useRules(denies('shop/no-kept', '/kept'));
    assert.match(await said(socket, 'GET /kept HTTP/1.1\r\nHost: a\r\n\r\n'), /^HTTP\/1.1 403 /);
    socket.destroy();
    useRules(undefined);
  });
});
