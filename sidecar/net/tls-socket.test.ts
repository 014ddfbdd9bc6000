import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { connect as connectTls, TLSSocket } from 'node:tls';
import { listenSecure, SHARED_KEY } from './shared-key.testing.ts';
import { closeOnTlsError, isTlsSocket } from './tls-socket.ts';

test('a TLS socket is told from others, also when it is closed', () => {
  const plain = new Socket();
  const secure = new TLSSocket(plain);
  assert.equal(isTlsSocket(secure), true);
  secure.destroy();
  assert.equal(isTlsSocket(secure), true);
  assert.equal(isTlsSocket(plain), false);
  assert.equal(isTlsSocket(new PassThrough()), false);
});

test('after the handshake a record that cannot be read closes the connection, on both sides', async () => {
  const { port, taken, close } = await listenSecure();
  const raw = connect({ port, host: '127.0.0.1' });
  const there = connectTls({ ...SHARED_KEY, socket: raw, checkServerIdentity: () => undefined });
  const [here] = await Promise.all([taken, once(there, 'secureConnect')]);
  const closed = [here, there].map((socket) => {
    closeOnTlsError(socket);
    socket.on('error', () => undefined).resume();
    return new Promise((resolve) => socket.once('close', resolve));
  });
  // Application data of 32 octets that nobody has encrypted.
  Reflect.get(raw, '_handle').writeBuffer(null, Buffer.from(`1703030020${'ab'.repeat(32)}`, 'hex'));
  assert.deepEqual(await Promise.all(closed), [true, true], 'with an error');
  close();
});
