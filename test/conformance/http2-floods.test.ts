/**
 * What costs a peer little and the proxy much: each attack ends its own connection or is bounded, the process stays
 * small, and another client goes on being served.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../support/wait.ts';
import { application } from './http2-corpus/application.ts';
import { request } from './http2-corpus/case.ts';
import { RawHttp2 } from './http2-corpus/peer.ts';
import { type Http2Rig, startHttp2Rig, type Way } from './http2-corpus/rig.ts';
import { costOf, Neighbour } from './http2-corpus/watch.ts';
import {
  block,
  CODE,
  data,
  FLAG,
  frame,
  headers,
  literal,
  reset,
  SETTING,
  settings,
  TYPE,
  uint32,
  windowUpdate,
} from './http2-corpus/wire.ts';

/** On two cores that other tests use, too. */
const NEIGHBOUR_MS_MAX = 5_000;

interface Watched {
  readonly rssMb: number;
  readonly cpuMs: number;
}

let rig: Http2Rig;

/** Runs an attack beside a neighbour who must not notice; says what it cost. */
async function beside(attack: () => Promise<void>): Promise<Watched> {
  const neighbour = new Neighbour(rig.connect('http1', 'http1'));
  await waitFor('the neighbour is served', () => (neighbour.latenciesMs.length > 2 ? true : undefined));
  const before = costOf(rig.program.pid);
  let rssMb = before.rssMb;
  const timer = setInterval(() => {
    rssMb = Math.max(rssMb, costOf(rig.program.pid).rssMb);
  }, 50);
  try {
    await attack();
  } finally {
    clearInterval(timer);
  }
  const after = costOf(rig.program.pid);
  const slowestMs = neighbour.stop();
  assert.equal(neighbour.failed, '', 'the neighbour');
  assert.ok(slowestMs < NEIGHBOUR_MS_MAX, `the neighbour waited ${slowestMs} ms`);
  return { rssMb: Math.max(rssMb, after.rssMb) - before.rssMb, cpuMs: after.cpuMs - before.cpuMs };
}

interface Flood {
  readonly name: string;
  readonly way?: Way;
  /** Before the pieces. */
  readonly first?: Buffer;
  readonly piece: (i: number) => Buffer;
  /** All of it is one block, with no room for other frames. */
  readonly isOneBlock?: true;
}

const open = (id: number, path = '/hang'): Buffer => headers(id, request({ ':path': path }));
const upload = (id: number, path = '/hang'): Buffer =>
  headers(id, request({ ':method': 'POST', ':path': path }), false);
const idOf = (i: number): number => 2 * i + 1;
const both = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts);
const BLOCK = block(request());
const PIECES = 100_000;
const CPU_MS_MAX = 2_000;
/** Pieces that are on their way when the end is noticed. */
const AT_ONCE = 100;
/**
 * Half of what the proxy reads and drops after its GOAWAY: if more was on its way, because the proxy was held up, the
 * connection is reset, and who has not read the GOAWAY by then loses it.
 */
const UNREAD_BYTES_MAX = 524_288;

const floods: readonly Flood[] = [
  { name: 'rapid reset (CVE-2023-44487)', piece: (i) => both(open(idOf(i)), reset(idOf(i))) },
  { name: 'rapid reset of uploads', piece: (i) => both(upload(idOf(i)), reset(idOf(i))) },
  {
    name: 'rapid reset by another sidecar',
    way: 'mesh',
    piece: (i) => both(open(idOf(i)), reset(idOf(i))),
  },
  { name: 'made you reset: window overflow', piece: (i) => both(open(idOf(i)), windowUpdate(idOf(i), 0x7fffffff)) },
  { name: 'made you reset: window of 0', piece: (i) => both(open(idOf(i)), windowUpdate(idOf(i), 0)) },
  { name: 'made you reset: DATA after the end', piece: (i) => both(open(idOf(i)), data(idOf(i), 'x')) },
  {
    name: 'made you reset: PRIORITY on itself',
    piece: (i) => both(open(idOf(i)), frame(TYPE.PRIORITY, 0, idOf(i), both(uint32(idOf(i)), Buffer.alloc(1)))),
  },
  {
    name: 'made you reset: content-length',
    piece: (i) =>
      both(headers(idOf(i), request({ ':method': 'POST' }, ['content-length', '1']), false), data(idOf(i), 'xx')),
  },
  { name: 'malformed requests', piece: (i) => headers(idOf(i), [[':method', 'GET']]) },
  { name: 'empty HEADERS', piece: (i) => headers(idOf(i), []) },
  {
    name: 'heads that are too large',
    piece: (i) => headers(idOf(i), request({}, ...Array.from({ length: 120 }, (_, k) => [`x-${k}`, 'v'] as const))),
  },
  { name: 'SETTINGS', piece: () => settings([SETTING.MAX_FRAME_SIZE, 16_384]) },
  {
    name: 'SETTINGS that move windows',
    first: both(...Array.from({ length: 500 }, (_, i) => open(idOf(i)))),
    piece: (i) => settings([SETTING.INITIAL_WINDOW_SIZE, i % 2]),
  },
  { name: 'PING', piece: () => frame(TYPE.PING, 0, 0, Buffer.alloc(8)) },
  { name: 'PING ACK', piece: () => frame(TYPE.PING, FLAG.ACK, 0, Buffer.alloc(8)) },
  { name: 'PRIORITY', piece: (i) => frame(TYPE.PRIORITY, 0, idOf(i), Buffer.alloc(5)) },
  { name: 'WINDOW_UPDATE', piece: () => windowUpdate(0, 1) },
  { name: 'WINDOW_UPDATE of a stream', first: open(1), piece: () => windowUpdate(1, 1) },
  { name: 'empty DATA', first: upload(1), piece: () => data(1, '', false) },
  {
    name: 'nothing but padding',
    first: upload(1),
    piece: () => frame(TYPE.DATA, FLAG.PADDED, 1, both(Buffer.from([200]), Buffer.alloc(200))),
  },
  { name: 'frames of unknown types', piece: () => frame(0xfa, 0, 0, 'x') },
  { name: 'GOAWAY', piece: () => frame(TYPE.GOAWAY, 0, 0, Buffer.alloc(8)) },
  { name: 'RST_STREAM of streams that are gone', first: both(upload(1), reset(1)), piece: () => reset(1) },
  {
    name: 'CONTINUATION (CVE-2024-27316)',
    first: frame(TYPE.HEADERS, 0, 1, BLOCK),
    isOneBlock: true,
    piece: () => frame(TYPE.CONTINUATION, 0, 1, literal('x-a', 'b')),
  },
];

async function flood({
  way = 'http2',
  first,
  piece,
  isOneBlock,
}: Flood): Promise<{ readonly client: RawHttp2; readonly sent: number }> {
  const client = new RawHttp2(rig.connect(way, 'http1'), { side: 'client', keeps: false });
  await client.until(() => client.framesRead > 0);
  if (first !== undefined) client.send(first);
  const isOver = (): boolean => client.ended || client.goawayCode !== undefined;
  let sent = 0;
  let unread = 0;
  for (let pings = 1; sent < PIECES && !isOver(); ) {
    if (unread > UNREAD_BYTES_MAX) {
      if (isOneBlock) break;
      const ping = pings++;
      client.send(frame(TYPE.PING, 0, 0, both(uint32(0), uint32(ping))));
      await client.until(() => client.lastPong === ping || isOver(), 20_000);
      unread = 0;
      continue;
    }
    const parts: Buffer[] = [];
    for (let i = 0; i < AT_ONCE && sent < PIECES; i++, sent++) parts.push(piece(sent));
    unread += parts.reduce((sum, { length }) => sum + length, 0);
    // A connection that is reset meanwhile has ended, too; why is judged by what was read of it.
    const drained = (): Promise<unknown> => once(client.stream, 'drain').catch(() => undefined);
    if (!client.send(...parts)) await Promise.race([drained(), client.until(isOver, 2_000)]);
    else await new Promise((resolve) => setImmediate(resolve));
  }
  return { client, sent };
}

describe('floods of clients', () => {
  before(async () => {
    rig = await startHttp2Rig({
      name: 'h2-floods',
      http1: application(),
      route: { timeout: '60s' },
      cluster: {
        circuit_breakers: {
          thresholds: [{ max_connections: 3_000, max_requests: 3_000, max_pending_requests: 3_000 }],
        },
      },
    });
  });
  after(() => rig.stop());

  for (const one of floods) {
    test(one.name, async (t) => {
      let sent = 0;
      const cost = await beside(async () => {
        const done = await flood(one);
        sent = done.sent;
        await done.client.until(() => done.client.ended);
        assert.equal(done.client.goawayCode, CODE.ENHANCE_YOUR_CALM, `${done.client.goawayText} after ${sent}`);
        assert.equal(done.client.ended, true);
        done.client.close();
      });
      t.diagnostic(`${sent} pieces, ${cost.cpuMs} ms of CPU, ${cost.rssMb.toFixed(1)} MB more`);
      assert.ok(sent < PIECES, `${sent} pieces were taken`);
      assert.ok(cost.cpuMs < CPU_MS_MAX, `${cost.cpuMs} ms of CPU`);
      assert.ok(cost.rssMb < 64, `${cost.rssMb} MB more`);
    });
  }
});
