import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { addressBytes, reverseName } from './addresses.ts';
import {
  CLASS_IN,
  encodeResponse,
  parseQuery,
  type Query,
  RCODE,
  type ResourceRecord,
  readName,
  TYPE,
  udpBytesMax,
} from './message.ts';

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));

function wireName(text: string): Buffer {
  return Buffer.concat([
    ...text.split('.').map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)])),
    Buffer.from([0]),
  ]);
}

function wireQuery(text: string, type: number, ednsBytes?: number): Buffer {
  const header = Buffer.from([0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, ednsBytes === undefined ? 0 : 1]);
  const parts = [header, wireName(text), Buffer.from([0, type, 0, 1])];
  if (ednsBytes !== undefined) parts.push(Buffer.from([0, 0, 41, ednsBytes >> 8, ednsBytes & 0xff, 0, 0, 0, 0, 0, 0]));
  return Buffer.concat(parts);
}

function parsed(message: Buffer): Query {
  const result = parseQuery(message);
  assert.ok(result.ok);
  return result.query;
}

/** Reads back the answer section with a reader of its own. */
function answersOf(message: Buffer): { readonly name: string; readonly type: number; readonly data: Buffer }[] {
  let at = (readName(message, 12)?.next ?? 0) + 4;
  const found = [];
  for (let index = 0; index < message.readUInt16BE(6); index++) {
    const named = readName(message, at);
    assert.ok(named);
    const length = message.readUInt16BE(named.next + 8);
    found.push({
      name: named.name,
      type: message.readUInt16BE(named.next),
      data: message.subarray(named.next + 10, named.next + 10 + length),
    });
    at = named.next + 10 + length;
  }
  return found;
}

describe('DNS messages', () => {
  test('any bytes are parsed or refused, never thrown on', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void parseQuery(Buffer.from(bytes))));
    // Bytes that start like a query get further in.
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        void parseQuery(Buffer.concat([Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]), Buffer.from(bytes)]));
      }),
    );
  });

  test('a query is read as it was written, in lower case, with and without EDNS', () => {
    fc.assert(
      fc.property(
        name,
        fc.constantFrom(1, 28, 33, 12),
        fc.option(fc.integer({ min: 0, max: 4096 })),
        (text, type, edns) => {
          const query = parsed(wireQuery(text.toUpperCase(), type, edns ?? undefined));
          assert.equal(query.question.name, text);
          assert.equal(query.question.type, type);
          assert.equal(query.edns === undefined, edns === null);
          assert.ok(udpBytesMax(query) >= 512 && udpBytesMax(query) <= 1232);
        },
      ),
    );
  });

  test('what is encoded is read back the same, however names are compressed', () => {
    const record = fc.oneof(
      fc.record({ name, address: fc.uint8Array({ minLength: 4, maxLength: 4 }) }).map(
        (item): ResourceRecord => ({
          name: item.name,
          ttlSeconds: 5,
          data: { type: TYPE.A, address: Buffer.from(item.address) },
        }),
      ),
      fc.record({ name, target: name, port: fc.integer({ min: 0, max: 65535 }) }).map(
        (item): ResourceRecord => ({
          name: item.name,
          ttlSeconds: 5,
          data: { type: TYPE.SRV, priority: 0, weight: 1, port: item.port, target: item.target },
        }),
      ),
    );
    fc.assert(
      fc.property(name, fc.array(record, { maxLength: 8 }), (text, answers) => {
        const query = parsed(wireQuery(text, 255));
        const message = encodeResponse(
          query,
          { rcode: RCODE.noError, authoritative: true, answers, authority: [], additional: [] },
          65535,
        );
        assert.equal(message.readUInt16BE(0), 0x1234);
        assert.equal(readName(message, 12)?.name, text);
        const read = answersOf(message);
        assert.deepEqual(
          read.map((item) => [item.name, item.type]),
          answers.map((item) => [item.name, item.data.type]),
        );
        for (const [index, item] of answers.entries()) {
          const data = read[index]?.data ?? Buffer.alloc(0);
          if (item.data.type === TYPE.A) assert.deepEqual(data, item.data.address);
          if (item.data.type === TYPE.SRV) {
            assert.equal(data.readUInt16BE(4), item.data.port);
            assert.equal(readName(data, 6)?.name ?? '', item.data.target);
          }
        }
      }),
    );
  });

  test('an answer that does not fit is cut with TC set', () => {
    const query = parsed(wireQuery('a.b', 1));
    const answers = Array.from(
      { length: 60 },
      (_, index): ResourceRecord => ({
        name: 'a.b',
        ttlSeconds: 5,
        data: { type: TYPE.A, address: Buffer.from([10, 0, 0, index]) },
      }),
    );
    const response = { rcode: RCODE.noError, authoritative: true, answers, authority: [], additional: [] };
    const cut = encodeResponse(query, response, 512);
    assert.ok(cut.length <= 512);
    assert.equal(cut.readUInt16BE(2) & 0x0200, 0x0200);
    assert.equal(encodeResponse(query, response, 65535).readUInt16BE(6), 60);
  });

  test("the client's spelling of the name comes back", () => {
    const message = wireQuery('WeB.ShoP', 1);
    const response = { rcode: RCODE.noError, authoritative: true, answers: [], authority: [], additional: [] };
    assert.ok(encodeResponse(parsed(message), response, 512).includes(Buffer.from('WeB')));
  });

  test('pointer loops, responses and unknown opcodes are refused', () => {
    const loop = Buffer.concat([
      Buffer.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]),
      Buffer.from([0xc0, 12, 0, 1, 0, CLASS_IN]),
    ]);
    assert.deepEqual(parseQuery(loop), { ok: false, id: 1, rcode: RCODE.formErr });
    const response = wireQuery('a', 1);
    response[2] = 0x81;
    assert.deepEqual(parseQuery(response), { ok: false, id: undefined, rcode: RCODE.formErr });
    const update = wireQuery('a', 1);
    update[2] = 0x28;
    assert.deepEqual(parseQuery(update), { ok: false, id: 0x1234, rcode: RCODE.notImp });
  });
});

describe('addresses', () => {
  test('every IPv6 address becomes its 16 bytes, also shortened', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const bytes = addressBytes(text);
        assert.equal(bytes?.length, 16);
        const long = (bytes ?? Buffer.alloc(16)).toString('hex').match(/.{4}/g)?.join(':') ?? '';
        assert.deepEqual(addressBytes(long), bytes);
      }),
    );
    assert.equal(addressBytes('::')?.toString('hex'), '0'.repeat(32));
    assert.equal(addressBytes('fd77:ef7::1')?.toString('hex'), 'fd770ef7000000000000000000000001');
    assert.equal(addressBytes('x'), undefined);
  });

  test('reverse names', () => {
    assert.equal(reverseName('10.200.0.7'), '7.0.200.10.in-addr.arpa');
    assert.equal(reverseName('::1'), `1.${'0.'.repeat(31)}ip6.arpa`);
  });
});
