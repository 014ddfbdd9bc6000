import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isGrpc } from '../../http/grpc-content-type.ts';
import { formatGrpcTimeout, parseGrpcTimeout, stepMs } from './deadline.ts';
import { encodeGrpcMessage, statusDetails } from './details.ts';
import { MessageCounter } from './message-counter.ts';

describe('content type', () => {
  test('gRPC, with a format or parameters, and not what only begins like it', () => {
    for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc;a=b', 'Application/gRPC']) {
      assert.equal(isGrpc(type), true, type);
    }
    for (const type of [undefined, '', 'application/grp', 'application/grpc-web', 'application/grpc-web+proto']) {
      assert.equal(isGrpc(type), false, String(type));
    }
  });
});

describe('grpc-timeout', () => {
  test('every value of the form, in every unit', () => {
    const units: Readonly<Record<string, number>> = { H: 3.6e6, M: 6e4, S: 1e3, m: 1, u: 1e-3, n: 1e-6 };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 99_999_999 }), fc.constantFrom(...Object.keys(units)), (value, unit) => {
        assert.equal(parseGrpcTimeout(`${value}${unit}`), value * (units[unit] ?? 0));
      }),
    );
  });

  test('nothing else', () => {
    for (const text of [
      '',
      '1',
      'S',
      '123456789S',
      '-1S',
      '1.5S',
      '1 S',
      ' 1S',
      '1S ',
      '1s',
      '1h',
      '0x1S',
      '1SS',
      '1S,2S',
    ]) {
      assert.equal(parseGrpcTimeout(text), undefined, text);
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        const parsed = parseGrpcTimeout(text);
        assert.ok(parsed === undefined || /^\d{1,8}[HMSmun]$/.test(text));
      }),
    );
  });

  test('what is passed on is of the form, never more than what is left, and close to it', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 3.6e14, noNaN: true }), (leftMs) => {
        const text = formatGrpcTimeout(leftMs);
        const parsed = parseGrpcTimeout(text);
        assert.ok(parsed !== undefined, text);
        assert.ok(parsed <= leftMs * (1 + 1e-12), `${text} of ${leftMs}`);
        assert.ok(parsed >= leftMs * 0.999 - 0.001, `${text} of ${leftMs}`);
      }),
    );
    assert.equal(formatGrpcTimeout(-5), '1u');
  });

  test('steps reach a deadline without passing it by more than a timer, in few steps of few lengths', () => {
    const lengths = new Set<number>();
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 2e9, noNaN: true }), (totalMs) => {
        let left = totalMs;
        let steps = 0;
        while (left > 0) {
          const step = stepMs(left);
          assert.ok(step >= 1 && step <= Math.max(2, left), `${step} of ${left}`);
          lengths.add(step);
          left -= step;
          steps++;
        }
        assert.ok(left > -1, `${-left} ms late`);
        assert.ok(steps <= 40, `${steps} steps`);
      }),
    );
    assert.ok(lengths.size <= 130, `${lengths.size} lengths`);
    assert.ok(stepMs(3.6e14) < 2 ** 31);
  });
});

describe('messages', () => {
  const frame = (length: number, flag = 0): Buffer => {
    const prefix = Buffer.alloc(5);
    prefix[0] = flag;
    prefix.writeUInt32BE(length, 1);
    return Buffer.concat([prefix, Buffer.alloc(length, 0xee)]);
  };

  test('as many as there are, however the bytes are cut', () => {
    const message = fc.record({ length: fc.nat(300), flag: fc.constantFrom(0, 1) });
    fc.assert(
      fc.property(fc.array(message), fc.array(fc.nat(40)), (messages, cuts) => {
        const bytes = Buffer.concat(messages.map(({ length, flag }) => frame(length, flag)));
        const counter = new MessageCounter();
        let at = 0;
        for (const cut of cuts) {
          counter.push(bytes.subarray(at, at + cut));
          at = Math.min(bytes.length, at + cut);
        }
        counter.push(bytes.subarray(at));
        assert.equal(counter.messages, messages.length);
        assert.equal(counter.atBoundary, true);
        assert.equal(counter.malformed, false);
      }),
    );
  });

  test('a message is counted when it is whole', () => {
    const counter = new MessageCounter();
    const bytes = frame(3);
    for (let i = 0; i < bytes.length; i++) {
      assert.equal(counter.messages, 0);
      assert.equal(counter.atBoundary, i === 0);
      counter.push(bytes.subarray(i, i + 1));
    }
    assert.equal(counter.messages, 1);
  });

  test('lengths of 32 bits, and bytes that are no messages', () => {
    const huge = new MessageCounter();
    huge.push(Buffer.from([0, 0xff, 0xff, 0xff, 0xff, 1]));
    assert.equal(huge.messages, 0);
    assert.equal(huge.malformed, false);
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 }), (chunks) => {
        const counter = new MessageCounter();
        let bytes = 0;
        for (const chunk of chunks) {
          counter.push(Buffer.from(chunk));
          bytes += chunk.length;
        }
        assert.ok(counter.messages * 5 <= bytes);
      }),
    );
    const other = new MessageCounter();
    other.push(Buffer.from('<html></html>'));
    assert.equal(other.malformed, true);
  });
});

describe('errors of our own', () => {
  test('messages are percent-encoded, and a decoder gets them back', () => {
    assert.equal(encodeGrpcMessage('no route of a matches'), 'no route of a matches');
    assert.equal(encodeGrpcMessage('100 %\n\u00fc'), '100 %25%0A%C3%BC');
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), (text) => {
        const encoded = encodeGrpcMessage(text);
        assert.match(encoded, /^[\x20-\x7e]*$/);
        assert.equal(decodeURIComponent(encoded), text);
      }),
    );
  });

  test('details are a google.rpc.Status with an ErrorInfo, without padding', () => {
    const text = statusDetails(14, 'nobody is there', 'UH');
    assert.doesNotMatch(text, /=/);
    const expected = Buffer.concat([
      Buffer.from([0x08, 14, 0x12, 15]),
      Buffer.from('nobody is there'),
      Buffer.from([0x1a, 114, 0x0a, 40]),
      Buffer.from('type.googleapis.com/google.rpc.ErrorInfo'),
      Buffer.from([0x12, 70, 0x0a, 19]),
      Buffer.from('NO_HEALTHY_UPSTREAM'),
      Buffer.from([0x12, 8]),
      Buffer.from('weft.dev'),
      Buffer.from([0x1a, 10, 0x0a, 4]),
      Buffer.from('flag\x12\x02UH'),
      Buffer.from([0x1a, 25, 0x0a, 6]),
      Buffer.from('detail\x12\x0fnobody is there'),
    ]);
    assert.deepEqual(Buffer.from(text, 'base64').toString('latin1'), expected.toString('latin1'));
  });
});
