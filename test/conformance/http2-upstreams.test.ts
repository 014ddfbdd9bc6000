/**
 * Applications that misbehave in HTTP/2 towards the proxy: what they flood it with is bounded, what they refuse is
 * neither lost nor done twice, and clients of the others do not notice.
 */
import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { after, before, beforeEach, describe, test } from 'node:test';
import { adminPage } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { request } from './http2-corpus/case.ts';
import { RawHttp2 } from './http2-corpus/peer.ts';
import { type Http2Rig, startHttp2Rig } from './http2-corpus/rig.ts';
import { costOf, Neighbour } from './http2-corpus/watch.ts';
import {
  CODE,
  data,
  frame,
  goaway,
  headers,
  reset,
  SETTING,
  SETTINGS_ACK,
  settings,
  TYPE,
  windowUpdate,
} from './http2-corpus/wire.ts';

const REQUESTS = 100;
const PIECES = 20_000;
const NEIGHBOUR_MS_MAX = 5_000;

interface Behaviour {
  readonly hello?: Buffer;
  /** A request has come in whole. */
  onRequest(peer: RawHttp2, id: number, connection: number): void;
}

const answer = (peer: RawHttp2, id: number): void => {
  peer.send(headers(id, [[':status', '200']], false), data(id, `done ${peer.of(id).get(':path')}`));
};
const proper: Behaviour = { onRequest: answer };

let behaviour: Behaviour = proper;
let connections: RawHttp2[] = [];
let rig: Http2Rig;

function application(stream: Duplex): void {
  const number = connections.length;
  const peer = new RawHttp2(stream, {
    side: 'server',
    ...(behaviour.hello === undefined ? {} : { hello: behaviour.hello }),
    onEnd: (id) => behaviour.onRequest(peer, id, number),
  });
  connections.push(peer);
}

/** Says `ok`: the application of the neighbour. */
function other(stream: Duplex): void {
  stream.on('data', () => stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  stream.on('end', () => stream.end());
  stream.on('error', () => stream.destroy());
}

interface Outcome {
  readonly status: number;
  readonly text: string;
}

/** Sends that many requests on one connection, and says how each ended. */
async function ask(count: number, timeoutMs = 20_000): Promise<readonly Outcome[]> {
  const client = new RawHttp2(rig.connect('http2', 'http2'), { side: 'client' });
  await client.until(() => client.framesRead > 0);
  const ids = Array.from({ length: count }, (_, i) => 2 * i + 1);
  for (const id of ids) client.send(headers(id, request({ ':path': `/${id}` })));
  const over = (): boolean => ids.every((id) => client.of(id).ended || client.of(id).resetCode !== undefined);
  assert.ok(await client.until(over, timeoutMs), `${ids.filter((id) => !client.of(id).ended)} have no end`);
  client.close();
  return ids.map((id) => ({ status: client.of(id).status, text: client.of(id).text }));
}

/** Requests that the application has answered, by path. */
function done(): readonly string[] {
  const paths: string[] = [];
  for (const peer of connections) for (const stream of peer.streams.values()) paths.push(stream.get(':path') ?? '');
  return paths;
}

function allDone(outcomes: readonly Outcome[]): void {
  outcomes.forEach(({ status, text }, i) => {
    assert.deepEqual([status, text], [200, `done /${2 * i + 1}`]);
  });
}

async function nothingUnderWay(): Promise<void> {
  await waitFor('nothing is under way', async () => {
    const { text } = await adminPage(rig.adminPort, '/stats?filter=(rq_active|rq_pending_active|rq_retry_active)');
    const busy = text.split('\n').filter((line) => line !== '' && !/: 0$/.test(line));
    if (busy.length > 0) throw new Error(busy.join(', '));
    return true;
  });
}

describe('applications in HTTP/2 that misbehave', () => {
  before(async () => {
    rig = await startHttp2Rig({
      name: 'h2-upstreams',
      http1: other,
      http2: application,
      route: {
        timeout: '15s',
        retry_policy: {
          retry_on: 'refused-stream,connect-failure',
          num_retries: 5,
          retry_back_off: { base_interval: '0.005s', max_interval: '0.05s' },
        },
      },
      cluster: { circuit_breakers: { thresholds: [{ max_retries: 1_000 }] } },
    });
  });
  after(() => rig.stop());
  beforeEach(() => {
    behaviour = proper;
    for (const peer of connections) peer.close();
    connections = [];
  });

  test('GOAWAY with a low last stream while 100 requests are under way: none is lost, none is done twice', async () => {
    const taken: string[] = [];
    behaviour = {
      onRequest(peer, id, connection) {
        if (connection > 0) {
          taken.push(peer.of(id).get(':path') ?? '');
          answer(peer, id);
          return;
        }
        // The first twenty are served, after the news that no more are.
        if (id === 39) peer.send(goaway(39, CODE.NO_ERROR));
        if (id > 39) return;
        taken.push(peer.of(id).get(':path') ?? '');
        setTimeout(() => answer(peer, id), 50);
      },
    };
    allDone(await ask(REQUESTS));
    assert.equal(taken.length, REQUESTS);
    assert.equal(new Set(taken).size, REQUESTS);
    await nothingUnderWay();
  });

  test('GOAWAY after each request, on each connection', async () => {
    behaviour = {
      onRequest(peer, id) {
        answer(peer, id);
        peer.send(goaway(id, CODE.NO_ERROR));
      },
    };
    const outcomes: Outcome[] = [];
    for (let i = 0; i < 30; i++) outcomes.push(...(await ask(1)));
    assert.ok(outcomes.every(({ status }) => status === 200));
    await nothingUnderWay();
  });

  test('GOAWAY of everything at once, always: an answer of the proxy, and a bounded number of connections', async () => {
    behaviour = { onRequest: (peer) => peer.send(goaway(0, CODE.ENHANCE_YOUR_CALM)) };
    const outcomes = await ask(20);
    assert.ok(outcomes.every(({ status }) => status === 503));
    assert.ok(connections.length <= 20 * 6 + 2, `${connections.length} connections`);
    await nothingUnderWay();
  });

  test('MAX_CONCURRENT_STREAMS 0, and then 100: requests wait, and a bounded number of connections is opened', async (t) => {
    behaviour = {
      hello: settings([SETTING.MAX_CONCURRENT_STREAMS, 0]),
      onRequest(peer, id) {
        // What was sent before it had seen the setting.
        peer.send(reset(id, CODE.REFUSED_STREAM));
      },
    };
    await ask(1);
    const before = connections.length;
    const waiting = ask(10);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const opened = connections.length - before;
    behaviour = proper;
    for (const peer of connections) peer.send(settings([SETTING.MAX_CONCURRENT_STREAMS, 100]));
    const outcomes = await waiting;
    t.diagnostic(`${before} connections for one request, ${opened} for ten`);
    assert.ok(before + opened <= 4, `${opened} connections`);
    assert.ok(outcomes.every(({ status }) => status === 200 || status === 503));
    allDone(await ask(10));
    await nothingUnderWay();
  });

  test('MAX_CONCURRENT_STREAMS 0 once connected: no request is sent until it is taken back', async () => {
    allDone(await ask(5));
    const [first] = connections;
    assert.ok(first !== undefined);
    const acked = first.settingsAcked;
    first.send(settings([SETTING.MAX_CONCURRENT_STREAMS, 0]));
    await first.until(() => first.settingsAcked > acked);
    const before = first.streams.size;
    allDone(await ask(20));
    assert.equal(first.streams.size, before);
    first.send(settings([SETTING.MAX_CONCURRENT_STREAMS, 100]));
    allDone(await ask(20));
    await nothingUnderWay();
  });

  test('windows that change while content is sent', async () => {
    const LENGTH = 400_000;
    behaviour = { onRequest: answer };
    const client = new RawHttp2(rig.connect('http2', 'http2'), { side: 'client' });
    client.send(headers(1, request({ ':method': 'POST', ':path': '/1' }), false));
    let credit = 65_535;
    client.onCredit = (id, bytes) => {
      if (id === 1) credit += bytes;
    };
    let sent = 0;
    for (let i = 0; sent < LENGTH; i++) {
      // With the window of the last turn nothing may be left to send, and then nothing to return credit for.
      if (credit === 0) connections[0]?.send(settings([SETTING.INITIAL_WINDOW_SIZE, 100_000]));
      await client.until(() => credit > 0, 10_000);
      const bytes = Math.min(credit, 10_000, LENGTH - sent);
      assert.ok(bytes > 0, `no credit after ${sent}`);
      client.send(data(1, Buffer.alloc(bytes, i), sent + bytes === LENGTH));
      credit -= bytes;
      sent += bytes;
      connections[0]?.send(settings([SETTING.INITIAL_WINDOW_SIZE, [0, 1, 65_535, 100_000][i % 4] ?? 0]));
      if (i % 4 === 1) connections[0]?.send(windowUpdate(1, 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
    connections[0]?.send(settings([SETTING.INITIAL_WINDOW_SIZE, 1_000_000]));
    await client.until(() => client.of(1).ended);
    assert.equal(client.of(1).status, 200);
    assert.equal(connections[0]?.of(1).bodyBytes, LENGTH);
    client.close();
    await nothingUnderWay();
  });

  const floods: readonly (readonly [string, (id: number, i: number) => Buffer])[] = [
    ['interim responses', (id) => headers(id, [[':status', '103']], false)],
    ['PING', () => frame(TYPE.PING, 0, 0, Buffer.alloc(8))],
    ['SETTINGS', () => settings([SETTING.INITIAL_WINDOW_SIZE, 65_535])],
    ['SETTINGS ACK', () => SETTINGS_ACK],
    ['PRIORITY', (id) => frame(TYPE.PRIORITY, 0, id + 2, Buffer.alloc(5))],
    ['empty DATA', (id, i) => (i === 0 ? headers(id, [[':status', '200']], false) : data(id, '', false))],
    ['WINDOW_UPDATE', () => windowUpdate(0, 1)],
    ['unknown frames', () => frame(0xfa, 0, 0, 'x')],
    ['GOAWAY', (id) => goaway(id, CODE.NO_ERROR)],
    ['RST_STREAM', (id) => reset(id)],
    ['PUSH_PROMISE', (id) => frame(TYPE.PUSH_PROMISE, 4, id, Buffer.from([0, 0, 0, 2, 0x88]))],
    ['CONTINUATION', (id, i) => frame(i === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, 0, id, Buffer.from([0x88]))],
  ];
  for (const [name, piece] of floods) {
    test(`a flood of ${name}`, async (t) => {
      const neighbour = new Neighbour(rig.connect('http1', 'http1'));
      const before = costOf(rig.program.pid);
      behaviour = {
        onRequest(peer, id) {
          for (let i = 0; i < PIECES && !peer.ended; i += 100) {
            peer.send(...Array.from({ length: 100 }, (_, k) => piece(id, i + k)));
          }
        },
      };
      const [outcome] = await ask(1);
      assert.ok(
        outcome !== undefined && (outcome.status === 502 || outcome.status === 503 || outcome.status === 200),
        `${outcome?.status}`,
      );
      behaviour = proper;
      allDone(await ask(20));
      const cost = costOf(rig.program.pid);
      const slowestMs = neighbour.stop();
      assert.equal(neighbour.failed, '');
      assert.ok(slowestMs < NEIGHBOUR_MS_MAX, `the neighbour waited ${slowestMs} ms`);
      t.diagnostic(`${cost.cpuMs - before.cpuMs} ms of CPU, ${(cost.rssMb - before.rssMb).toFixed(1)} MB more`);
      assert.ok(cost.cpuMs - before.cpuMs < 2_000);
      assert.ok(cost.rssMb - before.rssMb < 48);
      await nothingUnderWay();
    });
  }
  test('requests of the application are done once each', async () => {
    allDone(await ask(REQUESTS));
    assert.equal(new Set(done()).size, done().length);
  });
});
