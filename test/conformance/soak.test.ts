/**
 * Good and bad clients and applications together, over both versions, for a while: no good client fails for another's
 * fault, and when all have gone the process holds what it held before.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { freePort } from '../support/pair-process.ts';
import { adminPage } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { request } from './http2-corpus/case.ts';
import { collectedHeap, INSPECTED } from './http2-corpus/heap.ts';
import { RawHttp2 } from './http2-corpus/peer.ts';
import { type Http2Rig, startHttp2Rig } from './http2-corpus/rig.ts';
import { type Cost, costOf, Neighbour } from './http2-corpus/watch.ts';
import { data, headers, reset, SETTING, settings } from './http2-corpus/wire.ts';

const SOAK_MS = 30_000;
/** Above the time-outs of the listener below. */
const SETTLE_MS = 20_000;
const RSS_MB_MORE_MAX = 30;
const HEAP_MB_MORE_MAX = 4;
const DESCRIPTORS_MORE_MAX = 8;
const BAD_CLIENTS = 12;
const GOOD_CLIENTS = 4;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** An application that is killed and started again, in a process of its own, behind a port that stays. */
const FRAIL = `
const { createServer } = require('node:http');
createServer((message, response) => {
  message.resume();
  message.on('end', () => { response.write('half'); setTimeout(() => response.end('whole'), 20); });
  message.on('error', () => undefined);
}).listen(Number(process.argv[1]), '127.0.0.1', () => console.log('ready'));
`;

class Frail {
  private child: ChildProcess | undefined = undefined;
  private stopped = false;
  kills = 0;
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  async start(): Promise<void> {
    this.child = spawn(process.execPath, ['-e', FRAIL, String(this.port)], { stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.child.stdout !== null) await once(this.child.stdout, 'data');
  }

  /** Kills and starts it every two seconds. */
  async run(untilMs: number): Promise<void> {
    while (performance.now() < untilMs && !this.stopped) {
      await pause(2_000);
      await this.kill();
      this.kills++;
      await this.start();
    }
  }

  async kill(): Promise<void> {
    if (this.child === undefined || this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.kill();
  }
}

/** Octets between the proxy and the frail application: its accept() is that of the rig. */
function relayTo(port: number): (stream: Duplex) => void {
  return (stream) => {
    const there = connect(port, '127.0.0.1');
    stream.pipe(there);
    there.pipe(stream);
    const end = (): void => {
      (stream as Socket).resetAndDestroy?.();
      there.destroy();
    };
    for (const one of [stream, there]) one.on('error', end);
    there.on('close', end);
    stream.on('close', () => there.destroy());
  };
}

type Bad = (rig: Http2Rig) => Promise<void>;

const destroyed = async (stream: Duplex, ms: number): Promise<void> => {
  await pause(ms);
  stream.destroy();
};

const quiet = (stream: Duplex): Duplex => stream.on('error', () => undefined).resume();

const bad: readonly Bad[] = [
  /** Half a head, octet by octet. */
  async (rig) => {
    const stream = quiet(rig.connect('http1', 'http1'));
    for (const octet of 'GET / HTTP/1.1\r\nHost') {
      stream.write(octet);
      await pause(20);
    }
    await destroyed(stream, 100);
  },
  /** Content that never comes; left to the proxy's time-outs. */
  async (rig) => {
    const stream = quiet(rig.connect('http1', 'http1'));
    stream.write('POST /frail HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc');
    await Promise.race([once(stream, 'close'), pause(2_500)]);
    stream.destroy();
  },
  /** An upload that is broken off. */
  async (rig) => {
    const stream = quiet(rig.connect('http1', 'http2'));
    stream.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc');
    await pause(10);
    (stream as Socket).resetAndDestroy();
  },
  /** A peer that has closed its side and stays. */
  async (rig) => {
    const stream = quiet(rig.connect('http1', 'http1'));
    stream.end('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await destroyed(stream, 300);
  },
  /** No HTTP at all. */
  async (rig) => {
    const stream = quiet(rig.connect('http2', 'http1'));
    stream.write(Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
    await destroyed(stream, 100);
  },
  /** Requests that are given up at once. */
  async (rig) => {
    const peer = new RawHttp2(rig.connect('http2', 'http1'), { side: 'client', keeps: false });
    for (let id = 1; id < 200; id += 2) peer.send(headers(id, request({ ':path': '/frail' })), reset(id));
    await destroyed(peer.stream, 50);
  },
  /** No window, and then gone. */
  async (rig) => {
    const hello = settings([SETTING.INITIAL_WINDOW_SIZE, 0]);
    const peer = new RawHttp2(rig.connect('http2', 'http2'), { side: 'client', keeps: false, hello });
    for (let id = 1; id < 60; id += 2) peer.send(headers(id, request({ ':path': '/' })));
    await destroyed(peer.stream, 300);
  },
  /** Uploads that stop halfway, on a connection that stays for a while. */
  async (rig) => {
    const peer = new RawHttp2(rig.connect('mesh', 'http1'), { side: 'client', keeps: false });
    for (let id = 1; id < 40; id += 2) {
      peer.send(
        headers(id, request({ ':method': 'POST', ':path': '/frail' }), false),
        data(id, 'x'.repeat(1_000), false),
      );
    }
    await destroyed(peer.stream, 500);
  },
  /** Answers that the application breaks off. */
  async (rig) => {
    const peer = new RawHttp2(rig.connect('http2', 'http2'), { side: 'client', keeps: false });
    for (let id = 1; id < 60; id += 2) peer.send(headers(id, request({ ':path': '/broken' })));
    await destroyed(peer.stream, 200);
  },
  /** Half a block, for ever. */
  async (rig) => {
    const peer = new RawHttp2(rig.connect('http2', 'http1'), { side: 'client', keeps: false });
    peer.send(headers(1, request()).subarray(0, 30));
    await Promise.race([peer.until(() => peer.ended), pause(1_500)]);
    peer.close();
  },
];

async function beBad(rig: Http2Rig, offset: number, untilMs: number): Promise<number> {
  let times = 0;
  for (; performance.now() < untilMs; times++) await bad[(times + offset) % bad.length]?.(rig).catch(() => undefined);
  return times;
}

/** A client in HTTP/2 that asks again and again; says what went wrong. */
async function beGood(rig: Http2Rig, untilMs: number): Promise<{ readonly asked: number; readonly failed: string }> {
  const peer = new RawHttp2(rig.connect('http2', 'http2'), { side: 'client', keeps: false });
  let id = 1;
  for (; performance.now() < untilMs; id += 2) {
    peer.send(headers(id, request()));
    const stream = peer.of(id);
    if (!(await peer.until(() => stream.ended, 5_000)) || stream.status !== 200) {
      return { asked: id, failed: `stream ${id}: ${stream.status} ${stream.resetCode} ${peer.goawayText}` };
    }
    peer.streams.delete(id);
    await pause(5);
  }
  peer.close();
  return { asked: (id - 1) / 2, failed: '' };
}

async function counters(rig: Http2Rig): Promise<string> {
  const filter = '(rq_active|rq_pending_active|rq_retry_active|downstream_cx_active|downstream_rq_active)';
  const { text } = await adminPage(rig.adminPort, `/stats?filter=${filter}`);
  return text
    .split('\n')
    .filter(
      (line) =>
        line !== '' && !/: 0$/.test(line) && !line.startsWith('http.admin') && !line.startsWith('listener.admin'),
    )
    .join(', ');
}

/** Answers in HTTP/2; what is asked for below /broken it resets when half of the answer is out. */
function fickle(stream: Duplex): void {
  const peer = new RawHttp2(stream, {
    side: 'server',
    keeps: false,
    onEnd: (id) => {
      const breaks = peer.of(id).get(':path') === '/broken';
      peer.send(headers(id, [[':status', '200']], false), data(id, 'hello', !breaks), ...(breaks ? [reset(id)] : []));
      peer.streams.delete(id);
    },
  });
}

describe('a soak', () => {
  test('good and bad clients together', { timeout: SOAK_MS + SETTLE_MS + 60_000 }, async (t) => {
    const frail = new Frail(await freePort());
    await frail.start();
    const options = process.env.NODE_OPTIONS;
    process.env.NODE_OPTIONS = `${options ?? ''} ${INSPECTED}`.trim();
    const rig = await startHttp2Rig({
      name: 'soak',
      http1: relayTo(frail.port),
      http2: fickle,
      route: { timeout: '3s' },
      manager: {
        request_headers_timeout: '1s',
        request_timeout: '2s',
        stream_idle_timeout: '2s',
        common_http_protocol_options: { idle_timeout: '3s' },
      },
      cluster: { circuit_breakers: { thresholds: [{ max_connections: 3_000, max_pending_requests: 3_000 }] } },
    });
    if (options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = options;
    const { pid } = rig.program;
    try {
      // Warmed: what a first of everything costs is no leak.
      await beBad(rig, 0, performance.now() + 3_000);
      await beGood(rig, performance.now() + 1_000);
      const heapBefore = await collectedHeap(rig.program.stderr);
      const before: Cost = costOf(pid);
      const untilMs = performance.now() + SOAK_MS;
      const neighbours = Array.from({ length: GOOD_CLIENTS }, () => new Neighbour(rig.connect('http1', 'http2'), '/'));
      const [goods, bads] = await Promise.all([
        Promise.all(Array.from({ length: GOOD_CLIENTS }, () => beGood(rig, untilMs))),
        Promise.all(Array.from({ length: BAD_CLIENTS }, (_, i) => beBad(rig, i, untilMs))),
        frail.run(untilMs),
      ]);
      const during = costOf(pid);
      const failures = [...goods, ...neighbours].map(({ failed }) => failed).filter((it) => it !== '');
      const slowestMs = Math.max(...neighbours.map((one) => one.stop()));
      const asked =
        goods.reduce((sum, one) => sum + one.asked, 0) +
        neighbours.reduce((sum, one) => sum + one.latenciesMs.length, 0);
      t.diagnostic(
        `${asked} requests of good clients, the slowest ${slowestMs.toFixed(0)} ms; ${bads.reduce((a, b) => a + b)} bad ones; ${frail.kills} kills`,
      );
      assert.deepEqual(failures, []);
      assert.ok(asked > 1_000 && frail.kills > 5);
      assert.equal(rig.program.ended, false, rig.program.stderr);

      let after = costOf(pid);
      await waitFor(
        'everything is given back',
        async () => {
          after = costOf(pid);
          const busy = await counters(rig);
          if (busy !== '') throw new Error(busy);
          if (after.descriptors > before.descriptors + DESCRIPTORS_MORE_MAX)
            throw new Error(`${after.descriptors} descriptors`);
          return true;
        },
        SETTLE_MS,
        500,
      );
      // Collected on both sides: V8 grows its heap for as long as nothing presses it.
      const heapAfter = await collectedHeap(rig.program.stderr);
      after = costOf(pid);
      const say = ({ rssMb, descriptors }: Cost): string => `${rssMb.toFixed(1)} MB and ${descriptors} descriptors`;
      t.diagnostic(`${say(before)} before, ${say(during)} during, ${say(after)} after`);
      t.diagnostic(`heap ${heapBefore.usedMb.toFixed(1)} MB before, ${heapAfter.usedMb.toFixed(1)} MB after`);
      assert.ok(heapAfter.usedMb < heapBefore.usedMb + HEAP_MB_MORE_MAX, `${heapAfter.usedMb} MB of heap`);
      assert.ok(heapAfter.backingMb < heapBefore.backingMb + HEAP_MB_MORE_MAX, `${heapAfter.backingMb} MB of Buffers`);
      assert.ok(after.rssMb < before.rssMb + RSS_MB_MORE_MAX, `${after.rssMb} MB`);
    } finally {
      await frail.stop();
      await rig.stop();
    }
  });
});
