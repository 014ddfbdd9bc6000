import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Rbac } from '@weft/policies/model/authorization';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { chain, http, listener, plaintext, type Rig, startRig, tcp } from './listener-rig.fixture.ts';

/** Versions of listeners, draining, and refusals. */

let origin: Server;
let originPort = 0;
const held: ServerResponse[] = [];
const rigs: Rig[] = [];

before(async () => {
  origin = createServer((request, response) => {
    if (request.url === '/held') held.push(response);
    else response.end(`at ${request.headers['x-destination'] ?? 'tcp'}\n`);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const address = origin.address();
  originPort = address !== null && typeof address === 'object' ? address.port : 0;
});

after(() => {
  for (const rig of rigs) rig.manager.close();
  origin.closeAllConnections();
  origin.close();
});

async function rigWith(networkRbac: readonly Rbac[] = []): Promise<Rig> {
  const rig = await startRig({
    clusters: {
      origin: { address: { ip: '127.0.0.1', port: originPort }, security: plaintext },
      dead: { address: { ip: '127.0.0.1', port: 1 }, security: plaintext },
    },
    listeners: [listener('l', { filterChains: [chain(http('origin'), { networkRbac })] })],
  });
  rigs.push(rig);
  return rig;
}

class Client {
  readonly socket: Socket;
  text = '';
  ended = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  async get(path: string, wanted: string): Promise<string> {
    this.text = '';
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await waitFor(`"${wanted}" in the answer`, () => this.text.includes(wanted) || this.ended || undefined, 5_000, 5);
    return this.text;
  }
}

describe('listener manager', () => {
  test('a new version that makes a chain opaque serves new connections; old ones end with their next answer', async () => {
    const rig = await rigWith();
    const port = rig.port('l');
    const old = new Client(port);
    assert.match(await old.get('/', 'at '), /at ::ffff|at 127/);
    const previous = rig.source.listeners.get('l');
    assert.ok(previous);
    rig.source.listeners.set('l', { ...previous, filterChains: [chain(tcp('origin'))] });
    rig.source.notify();
    assert.equal(rig.port('l'), port);
    const fresh = new Client(port);
    assert.match(await fresh.get('/', 'at '), /at tcp/);
    const last = await old.get('/', 'at ');
    assert.doesNotMatch(last, /at tcp/);
    assert.match(last, /^connection: close\r$/im);
    await waitFor('the old connection to close', () => old.ended || undefined);
    fresh.socket.destroy();
  });

  test('the next request of a kept connection obeys the new version', async () => {
    const rig = await rigWith();
    const kept = new Client(rig.port('l'));
    assert.match(await kept.get('/', 'at '), /^HTTP\/1.1 200/);
    const previous = rig.source.listeners.get('l');
    assert.ok(previous);
    const name = previous.filterChains[0]?.name ?? '';
    rig.source.listeners.set('l', { ...previous, filterChains: [{ ...chain(http('dead')), name }] });
    rig.source.notify();
    assert.match(await kept.get('/', 'HTTP/1.1'), /^HTTP\/1.1 503/);
    kept.socket.destroy();
  });

  test('a removed listener stops accepting, and drains', async () => {
    const rig = await rigWith();
    const port = rig.port('l');
    const idle = new Client(port);
    await idle.get('/', 'at ');
    rig.source.listeners.delete('l');
    rig.source.notify();
    await waitFor('the idle connection to close', () => idle.ended || undefined);
    const late = new Client(port);
    await waitFor('the port to be closed', () => late.ended || undefined);
    assert.equal(late.text, '');
  });

  test('drain: a request in flight gets its answer with close, then everything is closed', async () => {
    const rig = await rigWith();
    const idle = new Client(rig.port('l'));
    await idle.get('/', 'at ');
    const busy = new Client(rig.port('l'));
    const answer = busy.get('/held', 'done');
    await waitFor('the request at the origin', () => held.length > 0 || undefined);
    const drained = rig.manager.drain(10_000);
    await waitFor('the idle connection to close', () => idle.ended || undefined);
    assert.equal(busy.ended, false);
    held.pop()?.end('done');
    assert.match(await answer, /Connection: close\r\n[\s\S]*done/);
    await drained;
    const [stats] = rig.manager.stats();
    assert.deepEqual([stats?.connections, stats?.accepted], [0, 2], 'those that have ended count as accepted');
  });

  test('drain ends what does not end by itself', async () => {
    const rig = await rigWith();
    const busy = new Client(rig.port('l'));
    const answer = busy.get('/held', 'never');
    await waitFor('the request at the origin', () => held.length > 0 || undefined);
    await rig.manager.drain(200);
    await answer;
    assert.equal(busy.ended, true);
    held.pop()?.destroy();
  });

  test('network RBAC refuses before the codec, and names the rule', async () => {
    const any = { kind: 'any' as const };
    const rbac: Rbac = { action: 'deny', policies: [{ name: 'shop/closed/0', permissions: [any], principals: [any] }] };
    const rig = await rigWith([rbac]);
    const client = new Client(rig.port('l'));
    assert.equal(await client.get('/', 'at '), '');
    const record = rig.recorder.records[0];
    assert.deepEqual([record?.flag, record?.rule], ['UAEX', 'shop/closed/0']);
    assert.equal(rig.exchanges.length, 0);
  });

  test('an update that adds an address leaves the socket of the first alone', async () => {
    const port = await freePort();
    const first = { ip: '127.0.0.1', port };
    const version = listener('m', { addresses: [first], filterChains: [chain(http('none'))] });
    const rig = await startRig({ clusters: {}, listeners: [version] });
    rigs.push(rig);
    // Waiting to be accepted while the listener changes in the same turn of the event loop.
    const clients = Array.from({ length: 20 }, () => new Client(port));
    rig.source.listeners.set('m', { ...version, addresses: [first, { ip: '::1', port }] });
    rig.source.notify();
    await waitFor('the second address', () => rig.manager.stats()[0]?.addresses.length === 2 || undefined);
    await waitFor('all connections', () => rig.manager.stats()[0]?.connections === clients.length || undefined);
    assert.equal(clients.filter((client) => client.ended).length, 0);
  });

  test('a client that was gone before it was accepted is let go: rules about addresses have nothing to decide on', async () => {
    const range = { ip: '10.0.0.0', prefixBits: 8 };
    const outside = { kind: 'not' as const, id: { kind: 'sourceIp' as const, range } };
    const rbac: Rbac = {
      action: 'allow',
      policies: [{ name: 'p', permissions: [{ kind: 'any' }], principals: [outside] }],
    };
    const rig = await rigWith([rbac]);
    // The event loop stands still while this runs, so that nothing is accepted before the reset is there.
    const client = `import socket, struct
s = socket.create_connection(('127.0.0.1', ${rig.port('l')}))
s.sendall(b'POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\n\\r\\n')
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
s.close()`;
    execFileSync('python3', ['-c', client]);
    await waitFor('the connection', () => rig.recorder.events.includes('listener.gone_before_accept') || undefined);
    assert.equal(rig.exchanges.length, 0);
    assert.match(await new Client(rig.port('l')).get('/', 'at '), /200/);
  });

  test('a port that is taken is an error that names it', async () => {
    const rig = await rigWith();
    const port = rig.port('l');
    await assert.rejects(
      startRig({ clusters: {}, listeners: [listener('x', { addresses: [{ ip: '::', port }] })] }),
      new RegExp(`listener x: cannot listen on \\[::\\]:${port}: EADDRINUSE`),
    );
  });
});
