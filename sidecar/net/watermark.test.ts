/** What may wait in sockets, as bootstraps bound it: the runtime's own sockets, from both of their ends. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { after, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { ManualClock } from '@weft/policies/kit/clock';
import { TestIdentity } from '../filters/testing-source.ts';
import { TestRecorder } from '../http/h1/testing.ts';
import { listen } from '../listener/listen.ts';
import { createDial } from './dial.ts';
import { waitingAtMost, waitingBytesMax } from './watermark.ts';

const BYTES = 4_096;
const opened: { destroy(): void }[] = [];
after(() => {
  for (const socket of opened) socket.destroy();
});

async function listening(bufferBytesMax: number | undefined) {
  const waiting: ((socket: Socket) => void)[] = [];
  const bound = await listen({
    address: { ip: '127.0.0.1', port: 0 },
    connectionsMax: 10,
    reusePort: false,
    recorder: new TestRecorder(),
    bufferBytesMax,
    onSocket: (socket) => {
      opened.push(socket);
      waiting.shift()?.(socket);
    },
  });
  assert.ok(bound.ok);
  const accepted = (): Promise<Socket> => new Promise((resolve) => waiting.push(resolve));
  return { bound: bound.value, accepted };
}

test('of clients, below TLS and above it, and as the configuration changes', async () => {
  const { bound, accepted } = await listening(BYTES);
  const take = async (): Promise<Socket> => {
    const socket = accepted();
    opened.push(connect({ port: bound.address.port, host: '127.0.0.1' }));
    return socket;
  };
  const first = await take();
  assert.equal(first.writableHighWaterMark, BYTES);
  const secure = new TLSSocket(first, { isServer: true, ...waitingAtMost(first.writableHighWaterMark) });
  secure.on('error', () => undefined);
  opened.push(secure);
  assert.equal(secure.writableHighWaterMark, BYTES);
  bound.limitBuffers(undefined);
  assert.equal((await take()).writableHighWaterMark, new Duplex().writableHighWaterMark);
  bound.limitBuffers(1_000_000_000);
  assert.equal((await take()).writableHighWaterMark, new Duplex().writableHighWaterMark);
  bound.close();
});

test('of endpoints', async () => {
  const { bound } = await listening(undefined);
  const dial = createDial({
    certificates: new TestIdentity(),
    clock: new ManualClock(),
    recorder: new TestRecorder(),
  });
  const request = { endpoint: { address: bound.address }, security: { kind: 'plaintext' }, timeoutMs: 5_000 } as const;
  const socket = await new Promise<Duplex>((resolve, reject) => {
    dial({ ...request, bufferBytesMax: BYTES }, (result) => {
      if ('error' in result) reject(new Error(result.error.detail));
      else resolve(result.transport.socket);
    });
  });
  opened.push(socket);
  assert.equal(socket.writableHighWaterMark, BYTES);
  bound.close();
});

test('a relay stops at what a socket was given, else at its own bound', () => {
  assert.equal(waitingBytesMax(new Duplex({ writableHighWaterMark: BYTES }), 262_144), BYTES);
  assert.equal(waitingBytesMax(new Duplex(), 262_144), 262_144);
});
