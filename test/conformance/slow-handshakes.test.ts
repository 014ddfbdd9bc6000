/** Connections to the control plane that never get as far as a call (slow loris). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Harness, signFor, startHarness } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { serverTls } from '@weft/policies/kit/server-tls';
import { waitFor } from '../support/wait.ts';

const EACH = 200;
const account = { namespace: 'shop', serviceAccount: 'web' };

let harness: Harness;
const sockets: Socket[] = [];

before(async () => {
  harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
});

after(async () => {
  for (const socket of sockets) socket.destroy();
  await harness.stop();
});

/** The beginning of a real ClientHello. */
async function clientHello(): Promise<Buffer> {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = connectTls({ port, host: '127.0.0.1' }).on('error', () => undefined);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(accepted, 'data')) as [Buffer];
  client.destroy();
  accepted.destroy();
  server.close();
  return bytes;
}

async function open(bytes: Buffer): Promise<Socket> {
  const socket = connect(harness.serving.xdsPort, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  if (bytes.length > 0) socket.write(bytes);
  return socket;
}

describe('handshakes that never end', () => {
  test('cost the others nothing, and end', { timeout: 60_000 }, async () => {
    const hello = await clientHello();
    const beginnings = [Buffer.alloc(0), hello.subarray(0, 3), hello.subarray(0, hello.length - 1)];
    for (const bytes of beginnings) await Promise.all(Array.from({ length: EACH }, () => open(bytes)));
    const startedMs = performance.now();
    const signed = await signFor(harness, { token: 'web-token' }, account);
    assert.ok(signed.ok, 'somebody with a token is served');
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < serverTls.handshakeTimeout / 2, `${tookMs} ms: long before the others are closed`);
    await waitFor(
      'all of them to be closed',
      () => (sockets.every((socket) => socket.closed || socket.readableEnded) ? true : undefined),
      serverTls.handshakeTimeout + 10_000,
    );
  });
});
