/** WebSockets of a real client through a sidecar: messages both ways, bytes sent ahead, close codes (RFC 6455). */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { Client } from './http1-corpus/client.ts';
import { type CorpusSidecar, startCorpusSidecar } from './http1-corpus/sidecar.ts';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const LARGE = 'x'.repeat(300_000);

/** RFC 6455 section 5.2; a server's frames are not masked. */
function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  if (head.length === 2) head[1] = length;
  else if (head.length === 4) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

/** The first whole frame of a client, unmasked, and how long it was. */
function unframe(
  bytes: Buffer,
): { readonly opcode: number; readonly payload: Buffer; readonly length: number } | undefined {
  if (bytes.length < 6) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  const at = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < at + 4) return undefined;
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (bytes.length < at + 4 + size) return undefined;
  const mask = bytes.subarray(at, at + 4);
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + size)).map((octet, i) => octet ^ (mask[i % 4] ?? 0));
  return { opcode: (bytes[0] ?? 0) & 0x0f, payload: Buffer.from(payload), length: at + 4 + size };
}

/** Accepts every handshake, sends every frame back, and ends after a close. */
function echo(stream: Duplex): void {
  let bytes = Buffer.alloc(0);
  let open = false;
  stream.on('error', () => stream.destroy());
  stream.on('end', () => stream.end());
  stream.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    const end = bytes.indexOf('\r\n\r\n');
    if (!open && end !== -1) {
      const key = /^sec-websocket-key: (.*)\r$/im.exec(bytes.toString('latin1', 0, end + 2))?.[1] ?? '';
      const accept = createHash('sha1').update(key).update(GUID).digest('base64');
      bytes = bytes.subarray(end + 4);
      open = true;
      stream.write(
        `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      );
    }
    for (let next = open ? unframe(bytes) : undefined; next !== undefined; next = unframe(bytes)) {
      bytes = bytes.subarray(next.length);
      stream.write(frame(next.opcode, next.payload));
      if (next.opcode === 8) stream.end();
    }
  });
}

describe('WebSockets over HTTP/1', () => {
  let sidecar: CorpusSidecar;
  before(async () => {
    sidecar = await startCorpusSidecar('corpus-websocket', echo);
  });
  after(() => sidecar.stop());

  test('messages of all sizes come back, and so does the close code', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${sidecar.port}/chat?room=1`);
    await once(socket, 'open');
    for (const text of ['hello', '', 'caf\u00e9', LARGE]) {
      socket.send(text);
      const [event] = await once(socket, 'message', { signal: AbortSignal.timeout(5_000) });
      assert.equal(event instanceof MessageEvent ? event.data : undefined, text);
    }
    socket.close(4_001, 'enough');
    const [event] = await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
    assert.ok(event instanceof CloseEvent);
    assert.deepEqual([event.code, event.reason, event.wasClean], [4_001, 'enough', true]);
  });

  test('as Firefox asks, with a frame sent ahead of the answer', async () => {
    const client = new Client(sidecar.connect());
    const masked = '\x81\x82\x00\x00\x00\x00hi';
    await client.send([
      `GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n${masked}`,
    ]);
    await client.until(() => client.text.endsWith('\x81\x02hi'));
    assert.match(client.text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(client.text, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    assert.match(client.text, /\r\nConnection: Upgrade\r\n/);
    assert.ok(client.text.endsWith('\r\n\r\n\x81\x02hi'));
    client.close();
  });
});
