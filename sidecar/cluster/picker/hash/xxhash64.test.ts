import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Hash64, xxHash64 } from './xxhash64.ts';

const MASK = (1n << 64n) - 1n;
const [P1, P2, P3, P4, P5] = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;
const rotl = (x: bigint, bits: bigint): bigint => ((x << bits) | (x >> (64n - bits))) & MASK;
const roundOf = (acc: bigint, lane: bigint): bigint => (rotl((acc + lane * P2) & MASK, 31n) * P1) & MASK;

/** The specification, step by step, with integers of any size. */
function reference(text: string, seed: bigint): bigint {
  const data = Buffer.from(text, 'latin1');
  let at = 0;
  let acc: bigint;
  if (data.length >= 32) {
    const lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK];
    for (; at + 32 <= data.length; at += 32) {
      for (const [i, lane] of lanes.entries()) lanes[i] = roundOf(lane, data.readBigUInt64LE(at + i * 8));
    }
    const [a = 0n, b = 0n, c = 0n, d = 0n] = lanes;
    acc = (rotl(a, 1n) + rotl(b, 7n) + rotl(c, 12n) + rotl(d, 18n)) & MASK;
    for (const lane of lanes) acc = ((acc ^ roundOf(0n, lane)) * P1 + P4) & MASK;
  } else acc = (seed + P5) & MASK;
  acc = (acc + BigInt(data.length)) & MASK;
  for (; at + 8 <= data.length; at += 8) {
    acc = (rotl(acc ^ roundOf(0n, data.readBigUInt64LE(at)), 27n) * P1 + P4) & MASK;
  }
  for (; at + 4 <= data.length; at += 4) {
    acc = (rotl(acc ^ ((BigInt(data.readUInt32LE(at)) * P1) & MASK), 23n) * P2 + P3) & MASK;
  }
  for (; at < data.length; at++) acc = (rotl(acc ^ ((BigInt(data[at] ?? 0) * P5) & MASK), 11n) * P1) & MASK;
  acc = ((acc ^ (acc >> 33n)) * P2) & MASK;
  acc = ((acc ^ (acc >> 29n)) * P3) & MASK;
  return acc ^ (acc >> 32n);
}

function hashOf(text: string, seedH = 0, seedL = 0): string {
  const hash = new Hash64();
  xxHash64(text, hash, seedH, seedL);
  return hash.toString();
}

describe('XXH64', () => {
  test('vectors of the reference implementation', () => {
    assert.equal(hashOf(''), 'ef46db3751d8e999');
    assert.equal(hashOf('a'), 'd24ec4f1a98c6e5b');
    assert.equal(hashOf('abc'), '44bc2cf5ad770999');
    assert.equal(hashOf('The quick brown fox jumps over the lazy dog'), '0b242d361fda71bc');
    // Seed 2654435761, the prime that the reference's own checks use.
    assert.equal(hashOf('', 0, 2_654_435_761), 'ac75fda2929b17ef');
  });

  test('as the specification says, for any octets, length and seed', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
    const octets = fc
      .array(fc.integer({ min: 0, max: 255 }), { maxLength: 130 })
      .map((codes) => String.fromCharCode(...codes));
    fc.assert(
      fc.property(octets, u32, u32, (text, seedH, seedL) => {
        const seed = (BigInt(seedH) << 32n) | BigInt(seedL);
        assert.equal(hashOf(text, seedH, seedL), reference(text, seed).toString(16).padStart(16, '0'));
      }),
      { numRuns: 2_000 },
    );
  });

  test('the remainder is that of all 64 bits', () => {
    const hash = new Hash64();
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 5_000_011 }), (text, divisor) => {
        xxHash64(text, hash);
        const whole = (BigInt(hash.hi) << 32n) | BigInt(hash.lo);
        assert.equal(hash.modulo(divisor), Number(whole % BigInt(divisor)));
      }),
    );
  });
});
