import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type { Dispatch, Downstream } from '../exchange.ts';
import { answer, TestRecorder, testConnection } from '../h1/testing.ts';
import * as F from './frames.ts';
import { serveHttp2 } from './server.ts';
import { frame, GET, RawPeer, serve, settings, uint32 } from './testing.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A socket whose peer does not read: what is written stays until `drain`. */
class StuckSocket extends Duplex {
  taken = 0;
  private waiting: (() => void)[] = [];
  stuck = true;

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.taken += chunk.length;
    if (this.stuck) this.waiting.push(done);
    else done();
  }

  drain(): void {
    this.stuck = false;
    for (const done of this.waiting.splice(0)) done();
  }
}

interface Stuck {
  readonly socket: StuckSocket;
  readonly recorder: TestRecorder;
  readonly clock: ManualClock;
  readonly peer: RawPeer;
}

function serveStuck(dispatch: Dispatch): Stuck {
  const socket = new StuckSocket();
  const recorder = new TestRecorder();
  const clock = new ManualClock();
  const limits = { ...defaultHttpLimits, streamIdleTimeoutMs: 1_000 };
  serveHttp2(socket, testConnection, { limits, dispatch, clock, recorder, direction: 'inbound' });
  // Only to make frames; what it reads is not of interest.
  const peer = new RawPeer(new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }));
  socket.push(Buffer.concat([F.PREFACE, settings(4, 1 << 24), frame(F.WINDOW_UPDATE, 0, 0, uint32(1 << 24))]));
  return { socket, recorder, clock, peer };
}

describe('HTTP/2 server: peers that do not read, exchanges that do not consume', () => {
  test('content waits in its stream, and its producer is told so', async () => {
    const exchanges: Downstream[] = [];
    const writable: number[] = [];
    const { socket, peer } = serveStuck((exchange) => {
      exchanges.push(exchange);
      const index = exchanges.length;
      exchange.receiver = {
        onData: () => undefined,
        onTrailers: () => undefined,
        onReset: () => undefined,
        onWritable: () => writable.push(index),
        onDone: () => undefined,
      };
      exchange.respond({ status: 200, reason: '', headers: exchange.head.headers, contentLength: -1 }, false);
    });
    socket.push(Buffer.concat([peer.get(1), peer.get(3)]));
    await turn();
    let taken = 0;
    const chunk = Buffer.alloc(20_000);
    while (exchanges[0]?.write(chunk, false) === true) {
      taken += chunk.length;
      assert.ok(taken < 200_000);
      if (taken % 60_000 === 0) await turn();
    }
    await turn();
    assert.ok(socket.writableLength < 300_000, `${socket.writableLength}`);
    assert.deepEqual(writable, []);
    socket.drain();
    await turn();
    await turn();
    assert.deepEqual(writable, [1]);
  });

  test('who was told to wait is told to go on, also when some has left in between', async () => {
    const exchanges: Downstream[] = [];
    let writable = 0;
    const { socket, peer } = serveStuck((exchange) => {
      exchanges.push(exchange);
      exchange.receiver = {
        onData: () => undefined,
        onTrailers: () => undefined,
        onReset: () => undefined,
        onWritable: () => writable++,
        onDone: () => undefined,
      };
      exchange.respond({ status: 200, reason: '', headers: exchange.head.headers, contentLength: -1 }, false);
    });
    socket.drain();
    socket.push(Buffer.concat([settings(4, 0), peer.get(1)]));
    await turn();
    assert.equal(exchanges[0]?.write(Buffer.alloc(70_000), false), false);
    socket.push(frame(F.WINDOW_UPDATE, 0, 1, uint32(20_000)));
    await turn();
    await turn();
    // Less than the bound is queued now, and the first piece is not given back yet.
    assert.equal(exchanges[0]?.write(Buffer.alloc(1_000), false), false);
    assert.equal(writable, 0);
    socket.push(frame(F.WINDOW_UPDATE, 0, 1, uint32(100_000)));
    await turn();
    await turn();
    assert.equal(writable, 1);
  });

  test('a peer that reads nothing for too long is given up', async () => {
    const { socket, peer, clock, recorder } = serveStuck((exchange) => answer(exchange, 200, 'x'.repeat(500_000)));
    socket.push(peer.get(1));
    await turn();
    await turn();
    clock.advance(1_100);
    await turn();
    assert.ok(socket.destroyed);
    assert.ok(recorder.events.includes('http2_downstream_send-stalled'), recorder.events.join(', '));
  });

  test('answers to PING are not piled up for a peer that does not read', async () => {
    const { socket, peer, recorder } = serveStuck((exchange) => answer(exchange, 200, 'x'.repeat(500_000)));
    socket.push(peer.get(1));
    await turn();
    await turn();
    for (let i = 0; i < 300; i++) socket.push(frame(F.PING, 0, 0, Buffer.alloc(8)));
    await turn();
    assert.ok(recorder.events.includes('http2_downstream_reply-flood'), recorder.events.join(', '));
  });

  test('heads for a peer that does not read stop the reading of its requests', async () => {
    let requests = 0;
    const { socket, peer } = serveStuck((exchange) => {
      requests++;
      exchange.head.headers.append('x-large', 'v'.repeat(30_000));
      const { headers } = exchange.head;
      exchange.respond({ status: 200, reason: '', headers, contentLength: -1 }, true);
    });
    for (let id = 1; id < 1_000; id += 2) {
      socket.push(peer.get(id));
      await turn();
    }
    assert.ok(requests < 100, `${requests}`);
    assert.ok(socket.writableLength < 2_000_000, `${socket.writableLength}`);
    socket.drain();
    for (let i = 0; i < 600 && requests < 500; i++) await turn();
    assert.equal(requests, 500);
  });

  test('an exchange that consumes nothing does not hold up the others', async () => {
    const { peer } = serve((exchange) => {
      let bytes = 0;
      exchange.receiver = {
        onData: (chunk, end) => {
          bytes += chunk.length;
          if (exchange.head.path === '/') exchange.consumed(chunk.length);
          if (end) answer(exchange, 200, `${bytes}`);
        },
        onTrailers: () => undefined,
        onReset: () => undefined,
        onWritable: () => undefined,
        onDone: () => undefined,
      };
    });
    const stalled = [':method', 'POST', ...GET.slice(2, 4), ':path', '/stalled', ':authority', 'a'];
    peer.send(peer.headers(1, false, ...stalled), ...[0, 1, 2, 3].map(() => peer.data(1, Buffer.alloc(16_000))));
    for (let round = 0; round < 40; round++) {
      const id = 3 + 2 * round;
      peer.send(peer.post(id), ...[0, 1, 2].map(() => peer.data(id, Buffer.alloc(16_000))), peer.data(id, '', true));
      await peer.untilLog(`DATA ${id} END`);
      assert.equal(peer.bodies.get(id), '48000');
    }
    assert.ok(!peer.log.includes('WINDOW_UPDATE 1'));
  });
});
