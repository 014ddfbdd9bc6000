/**
 * Hundreds of streams at once on one connection, of any size, given up by either side at any moment, some read slowly:
 * every octet is the right one, nobody starves, and afterwards the connection and the counters are as if nothing had been.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer as createHttp1, type IncomingMessage } from 'node:http';
import { type ClientHttp2Session, connect, createServer as createHttp2 } from 'node:http2';
import type { Duplex, Readable, Writable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { adminPage } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { type Behind, type Http2Rig, startHttp2Rig, type Way } from './http2-corpus/rig.ts';

const ROUNDS = 4;
const STREAMS = 500;
const LARGE_BYTES = 5_000_000;
const ROUND_MS_MAX = 60_000;
const SEED = 20_261_121;

/** A small generator, so that a failure can be repeated (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Octets that differ from stream to stream and from place to place. */
function content(seed: number, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  for (let i = 0; i + 4 <= bytes; i += 4) out.writeUInt32LE(Math.imul(i + 1, seed | 1) >>> 0, i);
  return out;
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

interface Call {
  readonly seed: number;
  readonly upBytes: number;
  readonly downBytes: number;
  readonly givenUp: 'no' | 'client' | 'server';
  readonly slow: boolean;
}

const pathOf = ({ seed, downBytes, givenUp }: Call): string => `/${seed}/${downBytes}/${givenUp}`;

/** Reads all, says the hash of it, and sends what was asked for; or gives up after half of that. */
function serve(message: Readable, path: string, head: (sha: string) => Writable, abort: () => void): void {
  const [, seed = '0', bytes = '0', givenUp] = path.split('/');
  const hash = createHash('sha256');
  message.on('error', () => undefined);
  message.on('data', (chunk: Buffer) => hash.update(chunk));
  message.on('end', () => {
    const body = content(Number(seed), Number(bytes));
    const response = head(hash.digest('hex'));
    response.on('error', () => undefined);
    if (givenUp !== 'server') response.end(body);
    else response.write(body.subarray(0, body.length / 2), () => abort());
  });
}

function http1Application(): (stream: Duplex) => void {
  const server = createHttp1((message: IncomingMessage, response) => {
    // Between sidecars its casing is kept, which the client here does not take.
    response.sendDate = false;
    serve(
      message,
      message.url ?? '',
      (sha) => response.writeHead(200, { 'x-sha': sha }),
      () => response.destroy(),
    );
  });
  return (stream) => void server.emit('connection', stream);
}

function http2Application(): (stream: Duplex) => void {
  const server = createHttp2(
    { maxSessionMemory: 1_000, settings: { maxConcurrentStreams: 200 } },
    (message, response) => {
      serve(
        message,
        message.url,
        (sha) => {
          response.writeHead(200, { 'x-sha': sha });
          return response.stream;
        },
        () => response.stream.close(2),
      );
    },
  );
  return (stream) => void server.emit('connection', stream);
}

/** Undefined: as it should be. */
function call(session: ClientHttp2Session, one: Call): Promise<string | undefined> {
  return new Promise((resolve) => {
    const up = content(one.seed, one.upBytes);
    const stream = session.request({ ':method': 'POST', ':path': pathOf(one), ':authority': 'a.test' });
    const parts: Buffer[] = [];
    let bytes = 0;
    let status = 0;
    let sha = '';
    let cancelled = false;
    const cancel = (): void => {
      if (one.givenUp !== 'client' || cancelled) return;
      cancelled = true;
      stream.close(8);
    };
    stream.on('response', (fields) => {
      status = Number(fields[':status']);
      sha = String(fields['x-sha']);
    });
    stream.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      bytes += chunk.length;
      if (bytes > one.downBytes / 3) cancel();
      if (!one.slow) return;
      stream.pause();
      setTimeout(() => stream.resume(), 3);
    });
    stream.on('error', () => undefined);
    stream.on('close', () => {
      if (cancelled) return resolve(undefined);
      const whole = Buffer.concat(parts);
      if (one.givenUp === 'server') {
        const begins = content(one.seed, one.downBytes).subarray(0, whole.length).equals(whole);
        const broken = stream.rstCode !== 0 || status >= 500;
        return resolve(begins && broken ? undefined : `given up by the server: ${begins} ${broken} ${status}`);
      }
      if (status !== 200)
        return resolve(`status ${status}, reset ${stream.rstCode}: ${whole.toString('latin1', 0, 80)}`);
      if (sha !== digest(up)) return resolve('the application had other octets');
      return resolve(whole.equals(content(one.seed, one.downBytes)) ? undefined : `other octets, ${whole.length}`);
    });
    // Some before the content is out.
    if (one.givenUp === 'client' && one.seed % 3 === 0) {
      stream.write(up.subarray(0, up.length / 2));
      setImmediate(cancel);
    } else stream.end(up);
  });
}

async function counters(rig: Http2Rig): Promise<readonly string[]> {
  const { text } = await adminPage(rig.adminPort, '/stats?filter=(rq_active|rq_pending_active|rq_retry_active)');
  return text.split('\n').filter((line) => line !== '' && !/: 0$/.test(line));
}

function calls(next: () => number): readonly Call[] {
  return Array.from({ length: STREAMS }, () => {
    const kind = next();
    const size = (): number => Math.floor(next() ** 4 * 200_000);
    return {
      seed: Math.floor(next() * 1e9),
      upBytes: size(),
      downBytes: size() + 3,
      givenUp: kind < 0.2 ? 'client' : kind < 0.35 ? 'server' : 'no',
      slow: next() < 0.1,
    };
  });
}

describe('many streams at once', () => {
  let rig: Http2Rig;

  before(async () => {
    const thresholds = [{ max_connections: 3_000, max_requests: 3_000, max_pending_requests: 3_000 }];
    rig = await startHttp2Rig({
      name: 'h2-concurrency',
      http1: http1Application(),
      http2: http2Application(),
      route: { timeout: '60s' },
      cluster: { circuit_breakers: { thresholds } },
    });
  });
  after(() => rig.stop());

  const routes: readonly (readonly [Way, Behind])[] = [
    ['http2', 'http1'],
    ['http2', 'http2'],
    ['mesh', 'http1'],
    ['mesh', 'http2'],
  ];
  for (const [way, behind] of routes) {
    test(`${way} to ${behind}`, { timeout: 240_000 }, async (t) => {
      const next = random(SEED);
      const session = connect('http://a.test', {
        maxSessionMemory: 1_000,
        createConnection: () => rig.connect(way, behind),
      });
      let ended = '';
      session.on('error', (error) => {
        ended = error.message;
      });
      session.on('goaway', (code) => {
        ended = `GOAWAY ${code}`;
      });
      for (let round = 0; round < ROUNDS; round++) {
        const beganMs = performance.now();

        const outcomes = await Promise.all(calls(next).map((one) => call(session, one)));
        assert.deepEqual(
          outcomes.filter((it) => it !== undefined),
          [],
          `round ${round} ${ended}`,
        );
        const tookMs = performance.now() - beganMs;
        assert.ok(tookMs < ROUND_MS_MAX, `${tookMs} ms`);
        t.diagnostic(`round ${round}: ${tookMs.toFixed(0)} ms`);
      }
      assert.equal(ended, '');
      const large = { seed: 7, upBytes: LARGE_BYTES, downBytes: LARGE_BYTES, givenUp: 'no', slow: false } as const;
      assert.equal(await call(session, large), undefined, 'a large call on the same connection');
      await waitFor('nothing is under way', async () => ((await counters(rig)).length === 0 ? true : undefined)).catch(
        async (error: Error) => assert.fail(`${error.message}: ${await counters(rig)}`),
      );
      session.destroy();
    });
  }
});
