import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { beginRead, endRead } from '../../net/turn.ts';
import { FrameOutput } from './frame-output.ts';

/** More than it takes to learn either way. */
const OFTEN = 100;

function setUp() {
  const written: number[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      written.push(bytes.length);
      done();
    },
  });
  const owner = { alone: false, beforeFlush: () => undefined, afterFlush: () => undefined };
  const output = new FrameOutput(socket, owner);
  const read = (): number => {
    beginRead();
    output.windowUpdate(1, 1);
    endRead();
    return written.length;
  };
  return { output, owner, written, read };
}

test('what one read leads to waits for the reads of the same turn, until it turns out that there are none', async () => {
  const { owner, written, read } = setUp();
  assert.equal(read(), 0);
  await turn();
  assert.equal(written.length, 1);

  let waited = 0;
  for (let i = 0; i < OFTEN; i++) {
    const before: number = written.length;
    if (read() === before) waited++;
    await turn();
    assert.equal(written.length, before + 1);
  }
  assert.ok(waited > 3 && waited < 10, `${waited} of ${OFTEN} waited`);

  owner.alone = true;
  assert.equal(read(), written.length);
});

test('what a flush leaves waits for the next turn, also where writes do not wait', async () => {
  const { output, written, read } = setUp();
  for (let i = 0; i < OFTEN; i++) {
    read();
    await turn();
  }
  beginRead();
  output.windowUpdate(1, 1);
  endRead();
  const before: number = written.length;
  beginRead();
  output.scheduleNext();
  output.windowUpdate(1, 1);
  endRead();
  assert.equal(written.length, before);
  await turn();
  assert.equal(written.length, before + 1);
});

test('reads that come together again are written together again', async () => {
  const { written, read } = setUp();
  for (let i = 0; i < OFTEN; i++) {
    read();
    await turn();
  }
  written.length = 0;
  for (let i = 0; i < OFTEN; i++) {
    read();
    read();
    read();
    await turn();
  }
  // Three frames a write, but for those before it was noticed.
  assert.ok(written.length < 1.7 * OFTEN, `${written.length} writes for ${OFTEN} turns`);
  assert.equal(
    written.reduce((sum, bytes) => sum + bytes, 0),
    3 * OFTEN * 13,
  );
});
