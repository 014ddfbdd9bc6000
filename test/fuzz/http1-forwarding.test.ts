/**
 * Valid requests with small changes, through both codecs: whatever is forwarded reads the same to parsers that each
 * forgive something else and to Node's strict one, and however the bytes are cut. WEFT_SEED repeats a run,
 * WEFT_FUZZ_SECONDS changes its length.
 */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import { connectHttp1 } from '@weft/sidecar/http/h1/client';
import { serveHttp1 } from '@weft/sidecar/http/h1/server';
import { duplexPair, forwardTo, TestRecorder, testConnection } from '@weft/sidecar/http/h1/testing';
import fc from 'fast-check';
import { readRequests, type Seen, styles } from '../conformance/http1-corpus/lenient.ts';
import { RecordingOrigin } from '../conformance/http1-corpus/origin.ts';
import { requestCases } from '../conformance/http1-corpus/requests.ts';

const TARGETS = 2;
const budgetMs = (Number(process.env['WEFT_FUZZ_SECONDS'] ?? 60) * 1_000) / TARGETS;
const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const HEAP_GROWTH_BYTES_MAX = 200_000_000;
const METHODS_OF_NODE = new Set(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']);

/** Tried first. What this test finds is kept here. */
const found: readonly string[] = [
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer_Encoding: chunked\r\n\r\nhello',
  'GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello',
];

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What goes upstream of these bytes. */
async function forwarded(parts: readonly string[]): Promise<readonly string[]> {
  const origin = new RecordingOrigin((stream) => stream.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
  const recorder = new TestRecorder();
  const open: Duplex[] = [];
  const dispatch = forwardTo(() => {
    const [socket, peer] = duplexPair();
    open.push(socket);
    origin.accept(peer);
    return connectHttp1({ socket, alpn: '', peer: undefined, localIp: '127.0.0.1' }, { recorder });
  });
  const [client, socket] = duplexPair();
  client.resume();
  client.on('error', () => undefined);
  const clock = new ManualClock();
  const options = { limits: defaultHttpLimits, dispatch, clock, recorder, direction: 'inbound' } as const;
  const connection = serveHttp1(socket, testConnection, options);
  for (const part of parts) {
    client.write(Buffer.from(part, 'latin1'));
    await turn();
  }
  for (let i = 0; i < 12; i++) await turn();
  const { streams } = origin;
  connection.destroy();
  client.destroy();
  for (const each of open) each.destroy();
  return streams;
}

/** The requests as Node's strict server takes them. */
async function byNode(text: string): Promise<readonly string[]> {
  const seen: string[] = [];
  const server = createServer({ maxHeaderSize: 131_072 }, (message, response) => {
    const body: Buffer[] = [];
    message.on('data', (part: Buffer) => body.push(part));
    message.on('end', () => {
      const content = Buffer.concat(body).toString('latin1');
      seen.push(JSON.stringify([message.method, message.url, content]));
      response.end();
    });
    message.on('error', () => undefined);
  });
  const [client, socket] = duplexPair();
  client.resume();
  client.on('error', () => undefined);
  server.emit('connection', socket);
  client.write(Buffer.from(text, 'latin1'));
  for (let i = 0; i < 12; i++) await turn();
  client.destroy();
  return seen;
}

const plain = ({ method, target, body }: Seen): string => JSON.stringify([method, target, body]);

async function judge(streams: readonly string[]): Promise<void> {
  for (const stream of streams) {
    const all = styles.map((style) => readRequests(stream, style));
    const readings = all.map(({ messages }) => messages);
    const [first = []] = readings;
    for (const [i, reading] of readings.entries()) {
      assert.deepEqual(
        reading.map(plain),
        first.map(plain),
        `a parser that ${styles[i]?.name} reads ${JSON.stringify(stream)}`,
      );
    }
    // A request that was broken off is not for Node to answer.
    const handled = all[0]?.rest === '' && first.every(({ method }) => METHODS_OF_NODE.has(method));
    // More requests than these answer would need more turns of the loop.
    if (handled && first.length <= 3) assert.deepEqual(await byNode(stream), first.map(plain), JSON.stringify(stream));
  }
}

const name = fc.constantFrom(
  'X',
  'Content-Length',
  'Transfer-Encoding',
  'content_length',
  'Host',
  'Connection',
  'TE',
  'Expect',
  'Upgrade',
  'Trailer',
  'Keep-Alive',
);
const value = fc.constantFrom(
  'a',
  '',
  '0',
  '5',
  '05',
  '+5',
  '5, 5',
  'chunked',
  'Chunked',
  'gzip, chunked',
  'identity',
  'close',
  'keep-alive, Upgrade',
  'websocket',
  'trailers',
  '100-continue',
  'x',
);
const field = fc.tuple(
  name,
  fc.constantFrom(': ', ':', ':\t', ' : ', ':\x0b'),
  value,
  fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r\n ', '\0\r\n'),
);
const content = fc.constantFrom(
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n',
  '5\nhello\n0\n\n',
  '0\r\n\r\nGET /evil HTTP/1.1\r\nHost: b\r\n\r\n',
);
const built = fc
  .tuple(
    fc.constantFrom('GET / HTTP/1.1', 'POST /x HTTP/1.1', 'POST /x?y HTTP/1.0', 'PUT http://b/ HTTP/1.1'),
    fc.array(field, { maxLength: 4 }),
    content,
  )
  .map(([line, fields, body]) => `${line}\r\nHost: a\r\n${fields.map((parts) => parts.join('')).join('')}\r\n${body}`);
const known = fc.constantFrom(
  ...requestCases.map(({ writes }) => writes.join('')).filter((text) => text.length < 2_000),
);
/** One octet changed, left out, doubled or put in. */
const changed = fc
  .tuple(
    fc.oneof(known, built),
    fc.nat(),
    fc.constantFrom('\r', '\n', ' ', '\t', '\0', ':', ',', ';', '0', '5', 'a', '\x0b', '\x80', '_'),
    fc.constantFrom('put', 'drop', 'change', 'double'),
  )
  .map(([text, place, octet, how]) => {
    const at = place % (text.length + 1);
    const rest = text.slice(at + (how === 'put' || how === 'double' ? 0 : 1));
    const middle = how === 'drop' ? '' : how === 'double' ? (text[at] ?? '') : octet;
    return text.slice(0, at) + middle + rest;
  });
const input = fc.oneof(
  { weight: 3, arbitrary: changed },
  { weight: 2, arbitrary: built },
  { weight: 1, arbitrary: fc.tuple(fc.oneof(known, built), changed).map((two) => two.join('')) },
);

async function fuzz(title: string, property: fc.IAsyncProperty<[string]>): Promise<void> {
  const endMs = performance.now() + budgetMs;
  const heapBefore = process.memoryUsage().heapUsed;
  let runs = 0;
  for (let round = 0; performance.now() < endMs; round++) {
    await fc.assert(property, {
      seed: seed + round,
      numRuns: 100,
      interruptAfterTimeLimit: 30_000,
      markInterruptAsFailure: true,
    });
    runs += 100;
  }
  const grown = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(runs > 0 && grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`);
  console.log(`# ${title}: ${runs} inputs, seed ${seed}, heap ${(grown / 1e6).toFixed(1)} MB`);
}

test('what was found before', async () => {
  for (const text of found) await judge(await forwarded([text]));
});

test('what is forwarded reads the same to everybody', () =>
  fuzz(
    'forwarding',
    fc.asyncProperty(input, async (text) => judge(await forwarded([text]))),
  ));

test('a request is the same wherever it is cut', async () => {
  const samples = requestCases.filter(({ writes }) => writes.join('').length < 120);
  const endMs = performance.now() + budgetMs;
  let cuts = 0;
  for (let i = seed % samples.length, left = samples.length; left > 0 && performance.now() < endMs; left--) {
    const text = samples[i]?.writes.join('') ?? '';
    i = (i + 1) % samples.length;
    const read = async (parts: readonly string[]): Promise<readonly string[]> =>
      (await forwarded(parts)).flatMap((stream) =>
        styles.slice(0, 1).flatMap((style) => readRequests(stream, style).messages.map(plain)),
      );
    const whole = await read([text]);
    for (let at = 1; at < text.length && performance.now() < endMs; at++, cuts++) {
      assert.deepEqual(await read([text.slice(0, at), text.slice(at)]), whole, `cut at ${at}: ${JSON.stringify(text)}`);
    }
  }
  assert.ok(cuts > 0);
  console.log(`# ${cuts} cuts`);
});
