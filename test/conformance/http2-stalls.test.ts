/**
 * Clients that take a long time, or take nothing: what they can make the proxy hold is bounded, is given back, and
 * nobody else waits for it.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../support/wait.ts';
import { application } from './http2-corpus/application.ts';
import { request } from './http2-corpus/case.ts';
import { RawHttp2 } from './http2-corpus/peer.ts';
import { type Http2Rig, startHttp2Rig, type Way } from './http2-corpus/rig.ts';
import { costOf, Neighbour } from './http2-corpus/watch.ts';
import {
  block,
  data,
  FLAG,
  frame,
  headers,
  indexed,
  literal,
  SETTING,
  settings,
  TYPE,
  windowUpdate,
} from './http2-corpus/wire.ts';

const MEGABYTE = 1_048_576;
const NEIGHBOUR_MS_MAX = 5_000;
const SETTLE_MS = 15_000;

let rig: Http2Rig;
const idOf = (i: number): number => 2 * i + 1;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Memory and descriptors that an attack holds at its most, beside a neighbour who must not notice. */
async function held(attack: () => Promise<() => void>): Promise<number> {
  const neighbour = new Neighbour(rig.connect('http1', 'http1'));
  await waitFor('the neighbour is served', () => (neighbour.latenciesMs.length > 2 ? true : undefined));
  const before = costOf(rig.program.pid);
  let rssMb = 0;
  const timer = setInterval(() => {
    rssMb = Math.max(rssMb, costOf(rig.program.pid).rssMb - before.rssMb);
  }, 50);
  const release = await attack().finally(() => clearInterval(timer));
  rssMb = Math.max(rssMb, costOf(rig.program.pid).rssMb - before.rssMb);
  release();
  await waitFor(
    'descriptors are given back',
    () => (costOf(rig.program.pid).descriptors <= before.descriptors + 150 ? true : undefined),
    SETTLE_MS,
  );
  const slowestMs = neighbour.stop();
  assert.equal(neighbour.failed, '', 'the neighbour');
  assert.ok(slowestMs < NEIGHBOUR_MS_MAX, `the neighbour waited ${slowestMs} ms`);
  return rssMb;
}

/** Until it grows no more. */
async function settled(read: () => number): Promise<void> {
  let last = -1;
  await waitFor(
    'it stands still',
    () => {
      const now = read();
      const still = now === last;
      last = now;
      return still ? true : undefined;
    },
    20_000,
    500,
  );
}

async function client(way: Way, hello?: Buffer, polite = true): Promise<RawHttp2> {
  const made = new RawHttp2(rig.connect(way, 'http1'), {
    side: 'client',
    keeps: false,
    polite,
    ...(hello === undefined ? {} : { hello }),
  });
  await made.until(() => made.framesRead > 0);
  return made;
}

describe('stalls of clients', () => {
  before(async () => {
    const thresholds = [{ max_connections: 3_000, max_requests: 3_000, max_pending_requests: 3_000 }];
    rig = await startHttp2Rig({
      name: 'h2-stalls',
      http1: application(10_000),
      manager: { upgrade_configs: [{ upgrade_type: 'websocket' }], http2_protocol_options: { allow_connect: true } },
      route: { timeout: '60s' },
      cluster: { circuit_breakers: { thresholds } },
    });
  });
  after(() => rig.stop());

  test('1,024 streams without a window, a megabyte for each', async (t) => {
    const rssMb = await held(async () => {
      const one = await client('http2', settings([SETTING.INITIAL_WINDOW_SIZE, 0]));
      for (let i = 0; i < 1_024; i++) one.send(headers(idOf(i), request({ ':path': '/big' })));
      const answered = (): number => [...one.streams.values()].filter(({ status }) => status === 200).length;
      await waitFor('all are answered', () => (answered() === 1_024 ? true : undefined), 30_000);
      await settled(() => Math.round(costOf(rig.program.pid).rssMb / 8));
      assert.equal(
        [...one.streams.values()].reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
        0,
      );
      return () => one.close();
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB`);
    assert.ok(rssMb < 256, `${rssMb} MB`);
  });

  test('100 streams of a client that does not read', async (t) => {
    const rssMb = await held(async () => {
      const one = await client('http2', settings([SETTING.INITIAL_WINDOW_SIZE, 0x7fffffff]));
      one.send(windowUpdate(0, 0x7fff0000 - 65_535));
      one.stream.pause();
      for (let i = 0; i < 100; i++) one.send(headers(idOf(i), request({ ':path': '/big' })));
      await pause(500);
      await settled(() => Math.round(costOf(rig.program.pid).rssMb / 4));
      return () => one.close();
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB`);
    assert.ok(rssMb < 64, `${rssMb} MB`);
  });

  test('a tunnel that is not accepted takes no more than a window', async (t) => {
    const rssMb = await held(async () => {
      const one = await client('http2');
      one.send(headers(1, [[':protocol', 'websocket'], ...request({ ':method': 'CONNECT', ':path': '/hang' })], false));
      const piece = Buffer.alloc(16_000, 'x');
      let sent = 0;
      // As far as credit comes; it is not told a window of its stream apart from that of the connection.
      const until = performance.now() + 3_000;
      const credit = new Map<number, number>([
        [0, 65_535],
        [1, 65_535],
      ]);
      one.onCredit = (id, bytes) => credit.set(id, (credit.get(id) ?? 0) + bytes);
      while (performance.now() < until && sent < 64 * MEGABYTE) {
        if (Math.min(credit.get(0) ?? 0, credit.get(1) ?? 0) >= piece.length) {
          one.send(data(1, piece, false));
          sent += piece.length;
          for (const id of [0, 1]) credit.set(id, (credit.get(id) ?? 0) - piece.length);
        } else await pause(5);
      }
      assert.equal(one.of(1).status, 0);
      assert.ok(sent >= 48_000 && sent <= 3 * 65_536, `${sent} bytes were taken`);
      return () => one.close();
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB`);
  });

  test('an HPACK bomb: an entry of 4,000 octets referred to 16,000 times a head', async (t) => {
    let cpuMs = 0;
    const rssMb = await held(async () => {
      const one = await client('http2');
      one.send(headers(1, Buffer.concat([block(request()), indexed('x-a', 'v'.repeat(4_000))])));
      const bomb = Buffer.concat([block(request()), Buffer.alloc(16_000, 0xbe)]);
      const before = costOf(rig.program.pid).cpuMs;
      for (let i = 1; i <= 100; i++) one.send(headers(idOf(i), bomb));
      await one.until(() => one.ended || one.of(idOf(100)).ended);
      assert.ok(one.ended || one.of(idOf(100)).status === 431, `${one.goawayText} ${one.of(3).status}`);
      cpuMs = costOf(rig.program.pid).cpuMs - before;
      return () => one.close();
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB, ${cpuMs} ms of CPU`);
    assert.ok(rssMb < 32, `${rssMb} MB`);
    assert.ok(cpuMs < 2_000, `${cpuMs} ms of CPU`);
  });

  test('content of one octet a frame, with padding, for an application that does not answer', async (t) => {
    const rssMb = await held(async () => {
      const one = await client('http2');
      const padded = frame(TYPE.DATA, FLAG.PADDED, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(256, 'x')]));
      one.send(headers(1, request({ ':method': 'POST', ':path': '/hang' }), false));
      for (let i = 0; i < 250 && !one.ended; i++) {
        one.send(...Array.from({ length: 100 }, () => padded));
        await one.until(() => false, 2);
      }
      return () => one.close();
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB`);
    assert.ok(rssMb < 48, `${rssMb} MB`);
  });

  test('200 connections with half a head each', async (t) => {
    const rssMb = await held(async () => {
      const clients = await Promise.all(Array.from({ length: 200 }, () => client('http2')));
      const half = literal('x-a', 'v'.repeat(15_000));
      for (const one of clients) {
        one.send(
          frame(TYPE.HEADERS, 0, 1, block(request())),
          frame(TYPE.CONTINUATION, 0, 1, half),
          frame(TYPE.CONTINUATION, 0, 1, half),
        );
      }
      await settled(() => Math.round(costOf(rig.program.pid).rssMb / 4));
      return () => {
        for (const one of clients) one.close();
      };
    });
    t.diagnostic(`${rssMb.toFixed(1)} MB`);
    assert.ok(rssMb < 64, `${rssMb} MB`);
  });
});
