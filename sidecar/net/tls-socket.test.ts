import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { isTlsSocket } from './tls-socket.ts';

test('a TLS socket is told from others, also when it is closed', () => {
  const plain = new Socket();
  const secure = new TLSSocket(plain);
  assert.equal(isTlsSocket(secure), true);
  secure.destroy();
  assert.equal(isTlsSocket(secure), true);
  assert.equal(isTlsSocket(plain), false);
  assert.equal(isTlsSocket(new PassThrough()), false);
});
