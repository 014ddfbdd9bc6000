/**
 * Bytes of all kinds against the HTTP/1.1 parsers: whatever comes, they end, hold no more than they may, and reach the
 * same verdict however the bytes are cut. WEFT_SEED repeats a run, WEFT_FUZZ_SECONDS changes its length.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type { Dispatch, ResponseReceiver } from '@weft/sidecar/http/exchange';
import { ChunkedDecoder } from '@weft/sidecar/http/h1/chunked';
import { connectHttp1 } from '@weft/sidecar/http/h1/client';
import { ParsedRequest, parseRequestHead } from '@weft/sidecar/http/h1/parse-request';
import { ParsedResponse, parseResponseHead } from '@weft/sidecar/http/h1/parse-response';
import { serveHttp1 } from '@weft/sidecar/http/h1/server';
import { answer, duplexPair, TestRecorder, testConnection } from '@weft/sidecar/http/h1/testing';
import { Headers } from '@weft/sidecar/http/headers';
import fc from 'fast-check';

const TARGETS = 5;
const budgetMs = (Number(process.env['WEFT_FUZZ_SECONDS'] ?? 60) * 1_000) / TARGETS;
const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const HEAP_GROWTH_BYTES_MAX = 200_000_000;

/** Pieces of HTTP beside bytes that are none, so that the parsers get far before something is wrong. */
const piece = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'GET ',
      'POST ',
      'PUT',
      ' ',
      '/',
      '/a?b',
      'HTTP/1.1',
      'HTTP/1.0',
      '\r\n',
      '\r\n\r\n',
      '\n',
      '\r',
      ':',
      ': ',
      'Host: a',
      'host:a\r\n',
      '*',
      'http://a/',
    ),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'Content-Length: 5',
      'content-length:0',
      'Transfer-Encoding: chunked',
      'transfer-encoding: gzip, chunked',
      'Connection: close',
      'Connection: upgrade',
      'Upgrade: x',
      'Expect: 100-continue',
      'TE: trailers',
      '5\r\nhello\r\n',
      '0\r\n\r\n',
      '0\r\nX: y\r\n\r\n',
      'ffffffff\r\n',
      '1;a="b"\r\n',
    ),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 204 \r\n',
      'HTTP/1.1 101 \r\n',
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/1.0 304\r\n',
      'hello',
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 8 }) },
  { weight: 1, arbitrary: fc.nat(70_000).map((length) => 'x'.repeat(length)) },
);
const wellFormed = fc.constantFrom(
  'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  'PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.1 200 OK\r\n\r\nuntil the end',
);
/** A message with one octet changed, left out or doubled. */
const mutated = fc
  .tuple(wellFormed, fc.nat(), fc.nat(255), fc.constantFrom(0, 1, 2))
  .map(([text, place, code, skip]) => {
    const at = place % text.length;
    return text.slice(0, at) + (skip === 2 ? '' : String.fromCharCode(code)) + text.slice(at + (skip === 0 ? 0 : 1));
  });
const input = fc.oneof(
  fc.array(piece, { maxLength: 30 }).map((parts) => parts.join('')),
  mutated,
  fc.array(fc.oneof(wellFormed, mutated), { maxLength: 4 }).map((all) => all.join('')),
);
const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 });

function pieces(text: string, sizes: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1');
  const all: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    if (at >= bytes.length) break;
    all.push(bytes.subarray(at, at + size));
    at += size;
  }
  if (at < bytes.length) all.push(bytes.subarray(at));
  return all;
}

/** Runs the property until the time is over; what fails is shrunk by the run that found it. */
async function fuzz(name: string, property: fc.IAsyncProperty<[string, number[]]>): Promise<void> {
  const endMs = performance.now() + budgetMs;
  const heapBefore = process.memoryUsage().heapUsed;
  let runs = 0;
  for (let round = 0; performance.now() < endMs; round++) {
    const numRuns = 200;
    await fc.assert(property, {
      seed: seed + round,
      numRuns,
      interruptAfterTimeLimit: 30_000,
      markInterruptAsFailure: true,
    });
    runs += numRuns;
  }
  const grown = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`);
  assert.ok(runs > 0);
  console.log(`# ${name}: ${runs} inputs, seed ${seed}, heap ${(grown / 1e6).toFixed(1)} MB`);
}

function noLineEnds(headers: Headers): void {
  headers.forEach((name, value) => {
    assert.doesNotMatch(name + value, /[\r\n\0]/);
  });
}

const property = (check: (text: string, sizes: readonly number[]) => void | Promise<void>) =>
  fc.asyncProperty(input, cuts, async (text, sizes) => check(text, sizes));

test('request heads', () =>
  fuzz(
    'request heads',
    property((text) => {
      const parsed = new ParsedRequest();
      const error = parseRequestHead(text, 100, { scheme: 'http', authority: 'a' }, parsed);
      if (error !== undefined) {
        assert.match(error.section, /^RFC \d+ (section|appendix)/);
        assert.ok(error.status >= 400 && error.status <= 505);
        return;
      }
      assert.ok(parsed.head !== undefined);
      // What a parser lets through may not be read as more lines by the next one.
      assert.doesNotMatch(parsed.head.path + parsed.head.method + parsed.head.authority, /[\r\n\0 ]/);
      noLineEnds(parsed.head.headers);
    }),
  ));

test('response heads', () =>
  fuzz(
    'response heads',
    property((text) => {
      const parsed = new ParsedResponse();
      const error = parseResponseHead(text, 100, 'GET', parsed);
      if (error !== undefined) return;
      assert.ok(parsed.head !== undefined && parsed.head.status >= 100 && parsed.head.status <= 599);
      assert.doesNotMatch(parsed.head.reason, /[\r\n\0]/);
      noLineEnds(parsed.head.headers);
    }),
  ));

/** Content, trailers and verdict of chunked bytes. */
function decode(parts: readonly Buffer[]): string {
  const decoder = new ChunkedDecoder();
  let content = '';
  for (const part of parts) {
    let at = 0;
    while (at < part.length && !decoder.done && decoder.error === undefined) {
      const next = decoder.step(part, at, part.length);
      assert.ok(next > at, 'no progress');
      at = next;
      if (decoder.chunk !== undefined) content += decoder.chunk.toString('latin1');
    }
  }
  let trailers = '';
  decoder.trailers?.forEach((name, value) => {
    trailers += `${name}=${value};`;
  });
  return JSON.stringify({ content, trailers, done: decoder.done, error: decoder.error?.kind });
}

test('chunked content, however it is cut', () =>
  fuzz(
    'chunked',
    property((text, sizes) => {
      const start = text.indexOf('\r\n\r\n');
      const chunked = start === -1 ? text : text.slice(start + 4);
      assert.equal(decode(pieces(chunked, sizes)), decode(pieces(chunked, [])));
    }),
  ));

/** Echoes at once, as an application that reads everything. */
const dispatch: Dispatch = (exchange) => {
  exchange.receiver = {
    onData(chunk, end) {
      exchange.consumed(chunk.length);
      if (end) answer(exchange, 200, 'ok');
    },
    onTrailers: () => answer(exchange, 200, 'ok'),
    onReset: () => undefined,
    onWritable: () => undefined,
    onDone: () => undefined,
  };
  if (exchange.endOfRequest) answer(exchange, 200, 'ok');
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function serve(parts: readonly Buffer[]): Promise<string> {
  const [client, socket] = duplexPair();
  let text = '';
  client.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1').replaceAll(/Date: [^\r]*\r\n/g, '');
  });
  client.on('error', () => undefined);
  const connection = serveHttp1(socket, testConnection, {
    limits: { ...defaultHttpLimits, headBytesMax: 8_192 },
    dispatch,
    clock: new ManualClock(),
    recorder: new TestRecorder(),
    direction: 'inbound',
  });
  for (const part of parts) {
    client.write(part);
    await turn();
  }
  for (let i = 0; i < 3; i++) await turn();
  connection.destroy();
  client.destroy();
  return text;
}

test('a server connection answers the same, however its bytes are cut', () =>
  fuzz(
    'server',
    property(async (text, sizes) => {
      const whole = await serve(pieces(text, []));
      assert.match(whole, /^(?:HTTP\/1\.1 [1-5]\d\d |$)/);
      const statuses = (answers: string): string =>
        [...answers.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, code]) => code).join();
      assert.equal(statuses(await serve(pieces(text, sizes))), statuses(whole));
    }),
  ));

test('a client connection survives every answer', () =>
  fuzz(
    'client',
    property(async (text, sizes) => {
      const [socket, peer] = duplexPair();
      peer.on('error', () => undefined);
      const connection = connectHttp1(
        { socket, alpn: '', peer: undefined, localIp: '127.0.0.1' },
        { recorder: new TestRecorder() },
      );
      let ends = 0;
      const receiver: ResponseReceiver = {
        onInterim: () => undefined,
        onHead: (_head, end) => {
          if (end) ends++;
        },
        onData: (chunk, end) => {
          upstream.consumed(chunk.length);
          if (end) ends++;
        },
        onTrailers: () => {
          ends++;
        },
        onReset: () => {
          ends++;
        },
        onWritable: () => undefined,
      };
      const head = {
        method: 'GET',
        scheme: 'http',
        authority: 'a',
        path: '/',
        protocol: undefined,
        headers: new Headers(),
        version: 11,
        contentLength: 0,
        expectContinue: false,
      } as const;
      const upstream = connection.open(head, true, receiver);
      for (const part of pieces(text, sizes)) {
        peer.write(part);
        await turn();
      }
      peer.end();
      for (let i = 0; i < 3; i++) await turn();
      connection.destroy();
      await turn();
      assert.equal(ends, 1, 'an exchange ends exactly once');
    }),
  ));
