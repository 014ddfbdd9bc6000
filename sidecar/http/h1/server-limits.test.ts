import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpLimits } from '@weft/policies/model/listener';
import { echo, serve } from './server.fixture.ts';

const G = 'GET / HTTP/1.1\r\nHost: a\r\n';
const P = 'POST / HTTP/1.1\r\nHost: a\r\n';
const chunked = `${P}Transfer-Encoding: chunked\r\n\r\n`;

describe('limits of HTTP/1.1 requests, each with its status', () => {
  const cases: readonly (readonly [name: string, limits: Partial<HttpLimits>, text: string, status: number])[] = [
    ['request line at its limit', { requestLineBytesMax: 14 }, `${G}\r\n`, 200],
    ['request line beyond it', { requestLineBytesMax: 13 }, `${G}\r\n`, 414],
    ['field line at its limit', { fieldLineBytesMax: 8 }, `${G}X: 12345\r\n\r\n`, 200],
    ['field line beyond it', { fieldLineBytesMax: 8 }, `${G}X: 123456\r\n\r\n`, 431],
    ['last field line beyond it', { fieldLineBytesMax: 7 }, `GET / HTTP/1.1\r\nHost: ab\r\n\r\n`, 431],
    ['number of fields at its limit', { headersCountMax: 2 }, `${G}X: 1\r\n\r\n`, 200],
    ['number of fields beyond it', { headersCountMax: 1 }, `${G}X: 1\r\n\r\n`, 431],
    ['head at its limit', { headBytesMax: 23 }, `${G}\r\n`, 200],
    ['head beyond it', { headBytesMax: 22 }, `${G}\r\n`, 431],
    ['head without an end', { headBytesMax: 100 }, `${G}X: ${'x'.repeat(200)}`, 431],
    ['request line without an end', { headBytesMax: 100 }, `GET /${'x'.repeat(200)}`, 414],
    ['content at its limit', { requestBodyBytesMax: 5 }, `${P}Content-Length: 5\r\n\r\nhello`, 200],
    ['declared content beyond it', { requestBodyBytesMax: 4 }, `${P}Content-Length: 5\r\n\r\n`, 413],
    [
      'declared content beyond it, not sent before it is wanted',
      { requestBodyBytesMax: 4 },
      `${P}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
      413,
    ],
    ['chunks at their limit', { requestBodyBytesMax: 5 }, `${chunked}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`, 200],
    ['chunks beyond it', { requestBodyBytesMax: 4 }, `${chunked}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`, 413],
  ];
  for (const [name, limits, text, status] of cases) {
    test(`${name}: ${status}`, async () => {
      const s = serve(echo, limits);
      s.client.write(text);
      assert.match(await s.until('\r\n\r\n'), new RegExp(`^HTTP/1\\.1 ${status} `));
      if (status !== 200) {
        await s.closed;
        assert.match(s.received(), /Connection: close\r\n/);
        assert.equal(s.recorder.events.length, 1);
      }
      s.connection.destroy();
    });
  }
});

describe('what cannot become a request any more', () => {
  const cases: readonly (readonly [name: string, text: string, status: number])[] = [
    ['a ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['the greeting of another protocol', 'SSH-2.0-OpenSSH_9.9\r\n', 400],
    ['HTTP/0.9', 'GET /\r\n', 400],
    ['another version', 'GET / HTTP/3.0\r\n', 505],
    ['a target with a space', 'GET /a b HTTP/1.1\r\nHost: a\r\n', 400],
    ['more empty lines than are passed over', '\r\n'.repeat(6), 400],
  ];
  for (const [name, text, status] of cases) {
    test(`${name} is not waited for: ${status}`, async () => {
      const s = serve(echo);
      s.client.write(text, 'latin1');
      assert.match(await s.until('\r\n\r\n'), new RegExp(`^HTTP/1\\.1 ${status} `));
      await s.closed;
      assert.equal(s.recorder.records[0]?.status, status);
    });
  }

  test('the answer is the same when more of it is there', async () => {
    const long = 'x'.repeat(100_000);
    const cases = [
      [` ${long}`, 400],
      [`GET /\r\nA: ${long}`, 400],
      [`GET / HTTP/3.0\r\nA: ${long}\r\n\r\n`, 505],
      [`GET /${long} b HTTP/1.1\r\n\r\n`, 414],
    ] as const;
    for (const [text, status] of cases) {
      for (const cut of [text.length, 70, 1]) {
        const s = serve(echo);
        s.client.write(text.slice(0, cut), 'latin1');
        await new Promise((resolve) => setImmediate(resolve));
        s.client.write(text.slice(cut), 'latin1');
        assert.match(
          await s.until('\r\n\r\n'),
          new RegExp(`^HTTP/1\\.1 ${status} `),
          `${text.slice(0, 20)} cut at ${cut}`,
        );
      }
    }
  });

  test('what still can is waited for', async () => {
    for (const beginning of [
      'G',
      'GET',
      'GET / HTTP/1.',
      'GET / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nHo',
      '\r\n\r\nPOST /x',
    ]) {
      const s = serve(echo);
      s.client.write(beginning);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(s.received(), '');
      s.client.destroy();
    }
  });
});
