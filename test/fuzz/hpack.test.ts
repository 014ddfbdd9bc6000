/**
 * Header blocks of all kinds against the HPACK decoder: whatever comes, it ends, hands out no more fields than there
 * are octets, holds no more than its table, and what it took it decodes the same from a copy of the block.
 * WEFT_SEED repeats a run, WEFT_FUZZ_SECONDS changes its length.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteWriter } from '@weft/sidecar/http/h2/hpack/byte-writer';
import { HpackDecoder, type HpackError } from '@weft/sidecar/http/h2/hpack/decoder';
import { HpackEncoder } from '@weft/sidecar/http/h2/hpack/encoder';
import type { Field } from '@weft/sidecar/http/h2/hpack/field';
import { huffmanEncode } from '@weft/sidecar/http/h2/hpack/huffman';
import fc from 'fast-check';

const TARGETS = 3;
const budgetMs = (Number(process.env['WEFT_FUZZ_SECONDS'] ?? 30) * 1_000) / TARGETS;
const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const HEAP_GROWTH_BYTES_MAX = 100_000_000;
const TABLE_BYTES_MAX = 8_192;
const STRING_BYTES_MAX = 2_048;
const RUNS_A_ROUND = 300;

/** An integer as RFC 7541 section 5.1 has it, with that many needless octets. */
function integer(first: number, bits: number, value: number, padding = 0): number[] {
  const mask = 2 ** bits - 1;
  if (value < mask) return [first | value];
  const octets = [first | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) octets.push(0x80 | (rest % 0x80));
  if (padding === 0) return [...octets, rest];
  return [...octets, rest | 0x80, ...new Array<number>(padding - 1).fill(0x80), 0];
}

function huffman(text: string): Buffer {
  const out = new ByteWriter(4 * text.length + 8);
  huffmanEncode(text, out);
  return Buffer.from(out.written());
}

const number = fc.oneof(
  { weight: 6, arbitrary: fc.nat(130) },
  { weight: 1, arbitrary: fc.nat(20_000) },
  { weight: 1, arbitrary: fc.nat(2 ** 31) },
  { weight: 1, arbitrary: fc.constantFrom(2 ** 28 - 1, 2 ** 28, 2 ** 32 - 1, 2 ** 32, 2 ** 40) },
);
const padding = fc.oneof({ weight: 12, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 8 }));
const octetText = fc.string({ unit: fc.nat(255).map((code) => String.fromCharCode(code)), maxLength: 30 });
const text = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    ':path',
    ':method',
    'cookie',
    'content-length',
    'te',
    'Upper',
    'x\n',
    ' x',
    'www.example.com',
  ),
  octetText,
  fc.nat(3_000).map((length) => 'v'.repeat(length)),
);

/** A string literal, mostly well formed; else its length is wrong or its code is cut or padded. */
const literal = fc
  .tuple(text, fc.boolean(), padding, fc.option(number, { freq: 20 }), fc.nat(12))
  .map(([value, coded, pad, wrongLength, damage]) => {
    let octets = coded ? huffman(value) : Buffer.from(value, 'latin1');
    if (coded && damage === 0) octets = octets.subarray(0, -1);
    if (coded && damage === 1) octets = Buffer.concat([octets, Buffer.from([0xff])]);
    return [...integer(coded ? 0x80 : 0, 7, wrongLength ?? octets.length, pad), ...octets];
  });
const size = fc.oneof(fc.constantFrom(0, 31, 32, 33, 100, 4_096, TABLE_BYTES_MAX, TABLE_BYTES_MAX + 1), number);

const representation: fc.Arbitrary<number[]> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(number, padding).map(([index, pad]) => integer(0x80, 7, index, pad)) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom([0x40, 6], [0x00, 4], [0x10, 4]), number, literal)
      .map(([[first = 0, bits = 0], index, value]) => [...integer(first, bits, index), ...value]),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(0x40, 0x00, 0x10), literal, literal)
      .map(([first, name, value]) => [first, ...name, ...value]),
  },
  { weight: 1, arbitrary: size.map((bytes) => integer(0x20, 5, bytes)) },
  { weight: 1, arbitrary: fc.array(fc.nat(255), { maxLength: 6 }) },
);
const block = fc
  .tuple(
    fc.array(size, { maxLength: 2 }),
    fc.array(representation, { maxLength: 12 }),
    fc.option(fc.nat(60), { freq: 8 }),
  )
  .map(([sizes, parts, cut]) => {
    const octets = [...sizes.flatMap((bytes) => integer(0x20, 5, bytes)), ...parts.flat()];
    return Buffer.from(cut === null ? octets : octets.slice(0, cut));
  });
/** What an encoder made, with one octet changed, left out or doubled. */
const damaged = fc
  .tuple(fc.array(fc.tuple(text, text), { maxLength: 10 }), fc.nat(), fc.nat(255), fc.constantFrom(0, 1, 2))
  .map(([fields, place, octet, kind]) => {
    const out = new ByteWriter();
    const encoder = new HpackEncoder({ tableBytesMax: 4_096, keepsCase: false });
    for (const [name, value] of fields) encoder.field(name, name.toLowerCase(), value, out);
    const made = Buffer.from(out.written());
    const at = place % (made.length + 1);
    const inserted = kind === 2 ? [] : [octet];
    return Buffer.concat([made.subarray(0, at), Buffer.from(inserted), made.subarray(at + (kind === 0 ? 0 : 1))]);
  });
const blocks = fc.array(fc.oneof({ weight: 4, arbitrary: block }, damaged), { minLength: 1, maxLength: 6 });
const setting = fc.option(fc.constantFrom(0, 100, 4_096, TABLE_BYTES_MAX), { freq: 4 });

const newDecoder = (keepsCase: boolean): HpackDecoder =>
  new HpackDecoder({ tableBytesMax: TABLE_BYTES_MAX, stringBytesMax: STRING_BYTES_MAX, keepsCase });

interface Outcome {
  readonly fields: readonly Field[];
  readonly error: HpackError | undefined;
}

function decode(decoder: HpackDecoder, bytes: Buffer, start = 0, end = bytes.length): Outcome {
  const fields: Field[] = [];
  const sink = {
    field: (field: Field) => {
      fields.push(field);
    },
  };
  const error = decoder.decode(bytes, start, end, sink);
  return { fields, error };
}

/** Runs the property until the time is over; what fails is shrunk by the run that found it. */
function fuzz<T>(name: string, property: fc.IProperty<T>): void {
  const endMs = performance.now() + budgetMs;
  const heapBefore = process.memoryUsage().heapUsed;
  let runs = 0;
  for (let round = 0; performance.now() < endMs; round++) {
    fc.assert(property, {
      seed: seed + round,
      numRuns: RUNS_A_ROUND,
      interruptAfterTimeLimit: 30_000,
      markInterruptAsFailure: true,
    });
    runs += RUNS_A_ROUND;
  }
  const grown = process.memoryUsage().heapUsed - heapBefore;
  assert.ok(grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`);
  console.log(`# ${name}: ${runs} inputs, seed ${seed}, heap ${(grown / 1e6).toFixed(1)} MB`);
}

test('the decoder stays within its bounds', () =>
  fuzz(
    'bounds',
    fc.property(blocks, fc.boolean(), setting, (all, keepsCase, tableBytes) => {
      const decoder = newDecoder(keepsCase);
      for (const [i, bytes] of all.entries()) {
        if (i === 1 && tableBytes !== null) decoder.setTableBytesMax(tableBytes);
        const { fields, error } = decode(decoder, bytes);
        assert.ok(fields.length <= bytes.length);
        assert.ok(decoder.tableBytes <= TABLE_BYTES_MAX);
        for (const { name, value } of fields) {
          assert.ok(name.length <= STRING_BYTES_MAX && value.length <= STRING_BYTES_MAX);
        }
        if (error === undefined) continue;
        assert.match(error.section, /^RFC 7541 section \d(?:\.\d){1,2}$/);
        assert.ok(error.detail.length < 200);
        return;
      }
    }),
  ));

test('the octets beside a block do not count', () =>
  fuzz(
    'bounds of the block',
    fc.property(blocks, fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ maxLength: 12 }), (all, before, behind) => {
      const one = newDecoder(false);
      const other = newDecoder(false);
      for (const bytes of all) {
        const whole = decode(one, bytes);
        const within = Buffer.concat([before, bytes, behind]);
        const part = decode(other, within, before.length, before.length + bytes.length);
        assert.deepEqual(part, whole);
        if (whole.error !== undefined) return;
      }
    }),
  ));

test('what was decoded, encoded again, decodes to the same', () =>
  fuzz(
    'encoded again',
    fc.property(blocks, (all) => {
      const decoder = newDecoder(true);
      const encoder = new HpackEncoder({ tableBytesMax: 1_000, keepsCase: true });
      const second = newDecoder(true);
      for (const bytes of all) {
        const { fields, error } = decode(decoder, bytes);
        const out = new ByteWriter();
        encoder.begin(out);
        for (const { name, lower, value } of fields) encoder.field(name, lower, value, out);
        const again = decode(second, out.buffer, 0, out.at);
        assert.equal(again.error, undefined);
        assert.deepEqual(again.fields, fields);
        if (fields.length > 0) assert.equal(second.tableBytes, encoder.tableBytes);
        if (error !== undefined) return;
      }
    }),
  ));
