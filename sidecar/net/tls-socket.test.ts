import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { connect as connectTls, TLSSocket } from 'node:tls';
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
  const psk = randomBytes(32);
  const options = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2' } as const;
  const server = createServer((accepted) => {
    const ofServer = { isServer: true, ...options, pskCallback: () => psk };
    const secure = new TLSSocket(accepted, ofServer);
    secure.once('secure', () => server.emit('secure', secure));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const secure = once(server, 'secure');
  const raw = connect({ port, host: '127.0.0.1' });
  const pskCallback = () => ({ psk, identity: 'test' });
  const there = connectTls({ ...options, socket: raw, pskCallback, checkServerIdentity: () => undefined });
  const [here] = await secure;
  await once(there, 'secureConnect');
  const closed = [here, there].map((socket) => {
    closeOnTlsError(socket);
    socket.on('error', () => undefined).resume();
    return new Promise((resolve) => socket.once('close', resolve));
  });
  // Application data of 32 octets that nobody has encrypted.
  Reflect.get(raw, '_handle').writeBuffer(null, Buffer.from(`1703030020${'ab'.repeat(32)}`, 'hex'));
  assert.deepEqual(await Promise.all(closed), [true, true], 'with an error');
  server.close();
});
