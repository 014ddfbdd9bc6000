import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from './byte-writer.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodedBytesMax, huffmanBytes, huffmanDecode, huffmanEncode } from './huffman.ts';
import { decodeAll, encodeAll, type NameAndValue } from './testing.ts';

const octets = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 60 });
const name = fc.oneof(
  fc.constantFrom(':method', ':path', ':status', ':authority', 'Content-Type', 'content-type', 'Date', 'date'),
  fc.constantFrom('authorization', 'cookie', 'set-cookie', 'traceparent', 'X-Request-Id', 'accept-encoding', 'x-a'),
  fc.stringMatching(/^[a-zA-Z-]{1,20}$/),
);
const value = fc.oneof(
  fc.constantFrom('', 'GET', '/', '/a?b=c', '200', '503', 'gzip, deflate', 'application/json', 'a', 'b', 'c'),
  fc.nat(30).map((n) => `value ${n}`),
  octets,
  fc.nat(3_000).map((length) => 'v'.repeat(length)),
);
const head = fc.array(fc.tuple(name, value), { maxLength: 30 });

type Step =
  | { readonly kind: 'head'; readonly fields: readonly NameAndValue[] }
  | { readonly kind: 'size'; readonly bytes: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: head.map((fields): Step => ({ kind: 'head', fields })) },
  {
    weight: 1,
    arbitrary: fc
      .oneof(fc.constantFrom(0, 31, 32, 64, 4_096), fc.nat(9_000))
      .map((bytes): Step => ({ kind: 'size', bytes })),
  },
);

describe('HPACK encoder and decoder', () => {
  test('what is decoded is what was encoded, and both tables are the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), fc.boolean(), fc.nat(9_000), (steps, keepsCase, ownBytes) => {
        const encoder = new HpackEncoder({ tableBytesMax: ownBytes, keepsCase });
        const decoder = new HpackDecoder({ tableBytesMax: 9_000, stringBytesMax: 4_096, keepsCase });
        for (const next of steps) {
          if (next.kind === 'size') {
            decoder.setTableBytesMax(next.bytes);
            encoder.setPeerTableBytesMax(next.bytes);
            continue;
          }
          const decoded = decodeAll(decoder, encodeAll(encoder, next.fields));
          assert.deepEqual(
            decoded.map((field) => [field.name, field.value]),
            next.fields.map(([name, value]) => [keepsCase ? name : name.toLowerCase(), value]),
          );
          if (next.fields.length > 0) assert.equal(decoder.tableBytes, encoder.tableBytes);
          assert.ok(encoder.tableBytes <= ownBytes);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a decoder takes whatever comes, within its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }), (blocks) => {
        const decoder = new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 64, keepsCase: false });
        for (const octets of blocks) {
          let fields = 0;
          const sink = {
            field: () => {
              fields++;
            },
          };
          const block = Buffer.from(octets);
          const error = decoder.decode(block, 0, block.length, sink);
          assert.ok(fields <= block.length);
          assert.ok(decoder.tableBytes <= 4_096);
          if (error !== undefined) return;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('Huffman code', () => {
  test('any text, encoded and decoded', () => {
    fc.assert(
      fc.property(octets, (text) => {
        const out = new ByteWriter(400);
        huffmanEncode(text, out);
        assert.equal(out.at, huffmanBytes(text));
        const decoded = Buffer.alloc(decodedBytesMax(out.at));
        const length = huffmanDecode(out.buffer, 0, out.at, decoded);
        assert.equal(decoded.toString('latin1', 0, length), text);
      }),
      { numRuns: 1_000 },
    );
  });

  test('what decodes is what the encoder makes of it: no octets have two codings', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (octets) => {
        const coded = Buffer.from(octets);
        const decoded = Buffer.alloc(decodedBytesMax(coded.length));
        const length = huffmanDecode(coded, 0, coded.length, decoded);
        if (length < 0) return;
        const out = new ByteWriter(64);
        huffmanEncode(decoded.toString('latin1', 0, length), out);
        assert.deepEqual(out.written(), coded);
      }),
      { numRuns: 5_000 },
    );
  });

  test('each octet by itself', () => {
    for (let octet = 0; octet < 256; octet++) {
      const text = String.fromCharCode(octet).repeat(9);
      const out = new ByteWriter(64);
      huffmanEncode(text, out);
      const decoded = Buffer.alloc(decodedBytesMax(out.at));
      assert.equal(huffmanDecode(out.buffer, 0, out.at, decoded), 9);
      assert.equal(decoded.toString('latin1', 0, 9), text);
    }
  });
});
