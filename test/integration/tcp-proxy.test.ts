import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { LoopbackServers } from '../support/loopback-servers.ts';
import { freePort } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { chain, listener, plaintext, type Rig, startRig, tcp } from './listener-rig.fixture.ts';

const servers = new LoopbackServers();
let rig: Rig;

const open = (name: string, allowHalfOpen = false): Socket => {
  const socket = connect({ port: rig.port(name), host: '127.0.0.1', allowHalfOpen });
  socket.on('error', () => undefined);
  return socket;
};

const payload = randomBytes(20_000_000);
let slow: Socket | undefined;

before(async () => {
  const target = (port: number) => ({ address: { ip: '127.0.0.1', port }, security: plaintext });
  const echoAtEnd = await servers.serve((socket) => {
    const hash = createHash('sha256');
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      bytes += chunk.length;
    });
    // Answers only after the client has said that it is done: half-close has to get through.
    socket.on('end', () => socket.end(`${bytes} ${hash.digest('hex')}`));
  });
  const source = await servers.serve((socket) => socket.end(payload));
  const stuck = await servers.serve((socket) => {
    socket.pause();
    slow = socket;
  });
  const refused = await freePort();
  rig = await startRig({
    clusters: { echo: target(echoAtEnd), source: target(source), stuck: target(stuck), refused: target(refused) },
    listeners: ['echo', 'source', 'stuck', 'refused'].map((name) =>
      listener(name, { filterChains: [chain(tcp(name, name === 'stuck' ? 300 : 0))] }),
    ),
  });
});

after(() => {
  rig?.manager.close();
  slow?.destroy();
  servers.close();
});

describe('opaque TCP', () => {
  test('half-close from the client, 20 MB up', async () => {
    const socket = open('echo', true);
    let answer = '';
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
    });
    socket.end(payload);
    await once(socket, 'end');
    assert.equal(answer, `${payload.length} ${createHash('sha256').update(payload).digest('hex')}`);
    const record = await waitFor('the record', () => rig.recorder.records.find((r) => r.cluster === 'echo'));
    assert.deepEqual([record.bytesReceived, record.bytesSent, record.flag], [payload.length, answer.length, '']);
    assert.equal(record.protocol, 'tcp');
  });

  test('half-close from the server, 20 MB down, to a client that reads late', async () => {
    const socket = open('source', true);
    await once(socket, 'connect');
    await waitFor(
      'bytes that nobody reads',
      () => socket.bytesRead > 0 || socket.readableLength > 0 || rig.recorder.open > 0 || undefined,
    );
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(socket, 'end');
    socket.end();
    assert.ok(Buffer.concat(chunks).equals(payload));
  });

  test('a receiver that does not read stops the sender; then the idle timeout ends it', async () => {
    const socket = open('stuck');
    await once(socket, 'connect');
    socket.resume();
    const chunk = Buffer.alloc(65_536);
    await waitFor(
      'backpressure',
      () => {
        for (let i = 0; i < 100; i++) if (!socket.write(chunk)) return true;
        return undefined;
      },
      5_000,
      1,
    );
    await once(socket, 'close');
    const record = await waitFor('the record', () => rig.recorder.records.find((r) => r.cluster === 'stuck'));
    assert.equal(record.flag, 'SI');
    assert.ok(record.bytesReceived < 40_000_000);
  });

  test('a connection is counted while it is open, and what it carried is labelled', async () => {
    const socket = open('stuck');
    await waitFor('the connection to be carried', () => rig.recorder.tcpOpen > 0 || undefined);
    socket.destroy();
    await waitFor('its end', () => rig.recorder.tcpOpen === 0 || undefined);
  });

  test('a refused upstream closes the client, with the cause in the record', async () => {
    const socket = open('refused');
    socket.resume();
    await once(socket, 'close');
    const record = rig.recorder.records.find((r) => r.cluster === 'refused');
    assert.equal(record?.flag, 'UF');
    assert.match(record?.detail ?? '', /connection refused/);
  });

  test('connections are counted open and closed', async () => {
    const [any] = [open('echo')];
    await waitFor('one open', () => (rig.recorder.open === 1 ? true : undefined));
    any?.destroy();
    await waitFor('none open', () => (rig.recorder.open === 0 ? true : undefined));
  });
});
