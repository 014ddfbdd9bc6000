import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { DETECT_BYTES_MAX, type Detection, detect } from './detect.ts';

/** The ClientHello of the runtime itself: with its post-quantum key share it is larger than 1,400 bytes. */
async function realHello(servername: string, alpn: string[]): Promise<Buffer> {
  const server = createServer((socket: Socket) => socket.once('data', (chunk) => server.emit('hello', chunk)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address !== null && typeof address === 'object' ? address.port : 0;
  const client = connectTls({
    port,
    host: '127.0.0.1',
    ALPNProtocols: alpn,
    ...(servername === '' ? {} : { servername }),
  });
  client.on('error', () => undefined);
  const [chunk]: unknown[] = await once(server, 'hello');
  client.destroy();
  server.close();
  assert.ok(Buffer.isBuffer(chunk));
  return chunk;
}

/** The same handshake message in records of a few bytes each (RFC 8446 section 5.1). */
function inRecords(hello: Buffer, bytes: number): Buffer {
  const body = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < body.length; at += bytes) {
    const part = body.subarray(at, at + bytes);
    const head = Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]);
    records.push(head, part);
  }
  return Buffer.concat(records);
}

/** As a connection sees it: more and more bytes, until it is known. */
function detectGrowing(bytes: Buffer, cuts: readonly number[]): Detection | 'more' {
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    const found = detect(bytes.subarray(0, cut));
    if (found !== 'more') return found;
  }
  return detect(bytes);
}

let hello: Buffer;
before(async () => {
  hello = await realHello('Shop.Example', ['weft-http/1.1', 'h2']);
});

describe('detection', () => {
  test('a real ClientHello: SNI, ALPN, post-quantum size', () => {
    assert.ok(hello.length > 1_400, `${hello.length}`);
    const expected = { kind: 'tls', serverName: 'shop.example', alpn: ['weft-http/1.1', 'h2'] };
    assert.deepEqual(detect(hello), expected);
    assert.deepEqual(detect(inRecords(hello, 200)), expected);
    assert.deepEqual(detect(inRecords(hello, 3)), expected);
  });

  test('a ClientHello without SNI', async () => {
    assert.deepEqual(detect(await realHello('', ['x'])), { kind: 'tls', serverName: '', alpn: ['x'] });
  });

  const cases: readonly (readonly [string, string, Detection['kind'] | 'more'])[] = [
    ['request line', 'GET / HTTP/1.1\r\n', 'http1'],
    ['request line without CR', 'GET / HTTP/1.0\n', 'http1'],
    ['own method', 'M-SEARCH * HTTP/1.1\r\n', 'http1'],
    ['half a line', 'GET /abc', 'more'],
    ['preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
    ['half a preface', 'PRI * HTTP/2.0\r\n', 'more'],
    ['lower-case words', 'get / HTTP/1.1\r\n', 'opaque'],
    ['a line of another protocol', 'EHLO mail.example\r\n', 'opaque'],
    ['SSH', 'SSH-2.0-OpenSSH\r\n', 'opaque'],
    ['MySQL', '\x4a\0\0\0\x0a8.0', 'opaque'],
    ['PostgreSQL', '\0\0\0\x08\x04\xd2\x16\x2f', 'opaque'],
    ['TLS record that is no handshake', '\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00', 'opaque'],
    ['empty TLS record', '\x16\x03\x01\x00\x00', 'opaque'],
    ['a long method', `${'A'.repeat(40)} / HTTP/1.1\r\n`, 'opaque'],
    ['a request line beyond the bound', `GET /${'a'.repeat(DETECT_BYTES_MAX)}`, 'http1'],
    ['a hello beyond the bound', `\x16\x03\x01\x40\x00\x01\x00\x7f\xff${'\0'.repeat(DETECT_BYTES_MAX)}`, 'opaque'],
  ];
  for (const [name, text, kind] of cases) {
    test(name, () => {
      const found = detect(Buffer.from(text, 'latin1'));
      assert.equal(found === 'more' ? found : found.kind, kind);
    });
  }

  test('any split of the bytes gives the same answer', () => {
    const texts = cases.filter(([, , kind]) => kind !== 'more').map(([, text]) => Buffer.from(text, 'latin1'));
    fc.assert(
      fc.property(fc.constantFrom(...texts, hello, inRecords(hello, 100)), fc.array(fc.nat(2_000)), (bytes, cuts) => {
        assert.deepEqual(detectGrowing(bytes, cuts), detect(bytes));
      }),
    );
  });

  test('no bytes make it throw', () => {
    const damaged = fc.tuple(fc.nat(1_800), fc.nat(255)).map(([at, value]) => {
      const copy = Buffer.from(hello);
      copy[at % copy.length] = value;
      return copy;
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
          damaged,
        ),
        (bytes) => {
          detect(bytes);
          detect(Buffer.concat([Buffer.from([0x16, 3, 1]), bytes]));
        },
      ),
      { numRuns: 500 },
    );
  });
});
