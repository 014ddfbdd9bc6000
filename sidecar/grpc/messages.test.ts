import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { frameMessage, MessageReader } from './messages.ts';

const read = (bytesMax: number): { readonly reader: MessageReader; readonly seen: Buffer[] } => {
  const seen: Buffer[] = [];
  return { reader: new MessageReader(bytesMax, (message) => seen.push(Buffer.from(message))), seen };
};

describe('messages of gRPC', () => {
  test('come out as they went in, wherever the stream is cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.nat(12), { maxLength: 60 }), (sent, cuts) => {
        const { reader, seen } = read(64);
        const stream = Buffer.concat(sent.map((one) => frameMessage(Buffer.from(one))));
        let at = 0;
        for (const cut of cuts) {
          assert.equal(reader.push(stream.subarray(at, at + cut)), undefined);
          at += cut;
        }
        assert.equal(reader.push(stream.subarray(at)), undefined);
        assert.deepEqual(
          seen.map((one) => one.toString('hex')),
          sent.map((one) => Buffer.from(one).toString('hex')),
        );
        assert.ok(reader.atBoundary);
      }),
    );
  });

  test('one that is too large is refused by its length, before its bytes are held', () => {
    const { reader, seen } = read(8);
    assert.match(reader.push(frameMessage(Buffer.alloc(9)).subarray(0, 5)) ?? '', /9 bytes; at most 8/);
    assert.deepEqual(seen, []);
  });

  test('a compressed one is refused, since none was offered', () => {
    assert.match(read(8).reader.push(Buffer.from([1, 0, 0, 0, 0])) ?? '', /compressed/);
  });

  test('half of one is told from none', () => {
    const { reader } = read(8);
    reader.push(Buffer.from([0, 0]));
    assert.equal(reader.atBoundary, false);
  });
});
