import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { echo } from '../h1/server.fixture.ts';
import { FrameReader } from './frame-reader.ts';
import * as F from './frames.ts';
import { connect, frame, RawPeer, serve, settings } from './testing.ts';

function read(pieces: readonly Buffer[]): { readonly frames: string[]; readonly error: string | undefined } {
  const frames: string[] = [];
  const reader = new FrameReader({
    onFrame(type, flags, id, buffer, start, end) {
      frames.push(`${type} ${flags} ${id} ${buffer.toString('latin1', start, end)}`);
      return true;
    },
  });
  for (const piece of pieces) {
    const error = reader.push(piece);
    if (error !== undefined) return { frames, error: error.kind };
  }
  return { frames, error: undefined };
}

const anyFrame = fc
  .record({
    type: fc.nat(12),
    flags: fc.nat(255),
    id: fc.integer({ min: 0, max: F.STREAM_ID_MAX }),
    payload: fc.uint8Array({ maxLength: 40 }),
  })
  .map((it) => frame(it.type, it.flags, it.id, Buffer.from(it.payload)));

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const points = [...new Set(at.map((point) => point % (bytes.length + 1)))].sort((a, b) => a - b);
  return [...points, bytes.length].map((point, i) => bytes.subarray(points[i - 1] ?? 0, point));
}

describe('HTTP/2 frames', () => {
  test('are the same however they are cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 8 }), fc.array(fc.nat(400), { maxLength: 12 }), (frames, points) => {
        const bytes = Buffer.concat(frames);
        assert.deepEqual(read(cut(bytes, points)), read([bytes]));
      }),
    );
  });

  test('are the same with a cut at each octet', () => {
    const bytes = Buffer.concat([
      settings(4, 70_000),
      frame(F.DATA, 1, 3, 'abc'),
      frame(F.PING, 0, 0, Buffer.alloc(8)),
    ]);
    const whole = read([bytes]);
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepEqual(read([bytes.subarray(0, at), bytes.subarray(at)]), whole);
    }
    assert.deepEqual(read([...bytes].map((octet) => Buffer.from([octet]))), whole);
  });

  test('one that is too large is an error as soon as its length is known', () => {
    assert.equal(read([Buffer.from([0, 0x40]), Buffer.from([1, 0, 0, 0, 0, 0, 0])]).error, 'frame-size');
    assert.equal(read([Buffer.from([0, 0x40, 1, 0, 0, 0, 0, 0, 0])]).error, 'frame-size');
  });
});

describe('HTTP/2 connections', () => {
  test('answer the same with the bytes of the client cut anywhere', async () => {
    const script = new RawPeer(serve(echo, {}, { silent: true }).peer.socket);
    const bytes = Buffer.concat([
      F.PREFACE,
      settings(),
      script.post(1, 'x-a', 'b'),
      script.data(1, 'abc'),
      script.headers(1, true, 'x-sum', '3'),
      script.get(3),
    ]);
    for (let at = 0; at <= bytes.length; at++) {
      const { peer } = serve(echo, {}, { silent: true });
      peer.send(bytes.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      peer.send(bytes.subarray(at));
      await peer.untilLog('DATA 3 END');
      assert.equal(peer.bodies.get(1), 'POST / abc|x-sum=3', `${at}`);
    }
  });

  test('take any frames without an exception, and end with the stream of the peer', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyFrame, { maxLength: 20 }), fc.boolean(), async (frames, client) => {
        const end = client ? connect() : serve(echo);
        end.peer.send(...frames);
        end.peer.socket.end();
        await end.peer.until(() => end.peer.ended);
        assert.ok(end.peer.ended);
      }),
      { numRuns: 150 },
    );
  });
});
