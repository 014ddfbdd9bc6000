import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { echo, serve } from './server.fixture.ts';

/** Pieces of requests, right and wrong; concatenated they are streams with every kind of boundary. */
const pieces = [
  'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n',
  'HEAD /4 HTTP/1.1\r\nHost: a\r\n\r\n',
  '\r\n\r\n',
  'GET /5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  'GET /6 HTTP/1.1\nHost: a\r\n\r\n',
  'GET /7 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n',
  'GET /8 HTTP/1.1\r\nHost : a\r\n\r\n',
  'POST /9 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\n',
  'POST /10 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\n: 1\r\n\r\n',
  'POST /11 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na',
  `GET /${'x'.repeat(300)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET /12 HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(300)}\r\n\r\n`,
  'GET /13 HTTP/1.1\r\nHost: a\r\nX: a\rb\n\r\n\r\n',
];

async function run(text: string, cuts: readonly number[]): Promise<string> {
  const s = serve(echo, { headBytesMax: 250 });
  const bytes = Buffer.from(text, 'latin1');
  let at = 0;
  for (const cut of [...new Set(cuts)].filter((c) => c > 0 && c < bytes.length).sort((a, b) => a - b)) {
    s.client.write(bytes.subarray(at, cut));
    at = cut;
    await new Promise(setImmediate);
  }
  s.client.write(bytes.subarray(at));
  // The end comes apart from the bytes: a client that has closed already is answered with close, by right.
  for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  s.client.end();
  await s.closed;
  return s.received();
}

test('any split of the bytes gives the same answers', async () => {
  const stream = fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 4 }).map((list) => list.join(''));
  await fc.assert(
    fc.asyncProperty(stream, fc.array(fc.nat(400), { maxLength: 12 }), async (text, cuts) => {
      assert.equal(await run(text, cuts), await run(text, []));
    }),
    { numRuns: 150 },
  );
});

test('octet by octet gives the same answers', async () => {
  for (const piece of pieces) {
    const text = piece + pieces[0];
    const all = Array.from({ length: text.length }, (_, i) => i);
    assert.equal(await run(text, all), await run(text, []), piece);
  }
});
