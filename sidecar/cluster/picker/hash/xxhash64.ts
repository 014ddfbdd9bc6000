/**
 * XXH64 (the xxHash specification, version 0.8), with numbers of 32 bits: BigInt would allocate at every step.
 * Text is hashed by its char codes, each an octet, as fields and addresses have them.
 */

/** 64 bits; `hi` and `lo` are unsigned. */
export class Hash64 {
  hi = 0;
  lo = 0;

  set(hi: number, lo: number): void {
    this.hi = hi >>> 0;
    this.lo = lo >>> 0;
  }

  /** Remainder by a number of at most 2^21 times 2^32. */
  modulo(divisor: number): number {
    return ((this.hi % divisor) * (4_294_967_296 % divisor) + this.lo) % divisor;
  }

  toString(): string {
    return this.hi.toString(16).padStart(8, '0') + this.lo.toString(16).padStart(8, '0');
  }
}

const P1H = 0x9e3779b1;
const P1L = 0x85ebca87;
const P2H = 0xc2b2ae3d;
const P2L = 0x27d4eb4f;
const P3H = 0x165667b1;
const P3L = 0x9e3779f9;
const P4H = 0x85ebca77;
const P4L = 0xc2b2ae63;
const P5H = 0x27d4eb2f;
const P5L = 0x165667c5;

/** The two halves that the steps below work on. */
let h = 0;
let l = 0;

function multiply(bh: number, bl: number): void {
  const a0 = l & 0xffff;
  const a1 = l >>> 16;
  const b0 = bl & 0xffff;
  const b1 = bl >>> 16;
  const low = a0 * b0;
  const middle = a0 * b1 + a1 * b0 + (low >>> 16);
  // Below 2^53 all the way: a sum of a few products of 32 bits.
  const high = a1 * b1 + Math.floor(middle / 65_536) + Math.imul(h, bl) + Math.imul(l, bh);
  l = ((middle & 0xffff) << 16) | (low & 0xffff);
  h = high | 0;
}

function add(bh: number, bl: number): void {
  const low = (l >>> 0) + (bl >>> 0);
  h = (h + bh + (low > 0xffff_ffff ? 1 : 0)) | 0;
  l = low | 0;
}

/** By 1 to 31 bits. */
function rotate(bits: number): void {
  const high = (h << bits) | (l >>> (32 - bits));
  l = (l << bits) | (h >>> (32 - bits));
  h = high;
}

/** XOR with itself shifted to the right by 1 to 32 bits. */
function xorShift(bits: number): void {
  if (bits === 32) {
    l ^= h;
    return;
  }
  l ^= (l >>> bits) | (h << (32 - bits));
  h ^= h >>> bits;
}

const word = (text: string, at: number): number =>
  (text.charCodeAt(at) & 0xff) |
  ((text.charCodeAt(at + 1) & 0xff) << 8) |
  ((text.charCodeAt(at + 2) & 0xff) << 16) |
  ((text.charCodeAt(at + 3) & 0xff) << 24);

/** The specification's round: acc + lane * P2, rotated by 31, * P1. Leaves the new accumulator in the two halves. */
function round(accH: number, accL: number, text: string, at: number): void {
  l = word(text, at);
  h = word(text, at + 4);
  multiply(P2H, P2L);
  add(accH, accL);
  rotate(31);
  multiply(P1H, P1L);
}

const lanes = new Int32Array(8);

function stripes(text: string, seedH: number, seedL: number): number {
  h = seedH;
  l = seedL;
  add(P1H, P1L);
  add(P2H, P2L);
  lanes[0] = h;
  lanes[1] = l;
  h = seedH;
  l = seedL;
  add(P2H, P2L);
  lanes[2] = h;
  lanes[3] = l;
  lanes[4] = seedH;
  lanes[5] = seedL;
  h = seedH;
  l = seedL;
  // Minus P1.
  add(~P1H, ~P1L);
  add(0, 1);
  lanes[6] = h;
  lanes[7] = l;
  let at = 0;
  for (; at + 32 <= text.length; at += 32) {
    for (let lane = 0; lane < 4; lane++) {
      round(lanes[lane * 2] ?? 0, lanes[lane * 2 + 1] ?? 0, text, at + lane * 8);
      lanes[lane * 2] = h;
      lanes[lane * 2 + 1] = l;
    }
  }
  converge();
  return at;
}

const rotations = [1, 7, 12, 18] as const;

function converge(): void {
  let sumH = 0;
  let sumL = 0;
  for (let lane = 0; lane < 4; lane++) {
    h = lanes[lane * 2] ?? 0;
    l = lanes[lane * 2 + 1] ?? 0;
    rotate(rotations[lane] ?? 0);
    add(sumH, sumL);
    sumH = h;
    sumL = l;
  }
  for (let lane = 0; lane < 4; lane++) {
    h = lanes[lane * 2] ?? 0;
    l = lanes[lane * 2 + 1] ?? 0;
    multiply(P2H, P2L);
    rotate(31);
    multiply(P1H, P1L);
    l ^= sumL;
    h ^= sumH;
    multiply(P1H, P1L);
    add(P4H, P4L);
    sumH = h;
    sumL = l;
  }
}

/** Writes the hash of the text into `into`. */
export function xxHash64(text: string, into: Hash64, seedH = 0, seedL = 0): void {
  let at = 0;
  if (text.length >= 32) at = stripes(text, seedH | 0, seedL | 0);
  else {
    h = seedH | 0;
    l = seedL | 0;
    add(P5H, P5L);
  }
  add(0, text.length);
  for (; at + 8 <= text.length; at += 8) {
    const accH = h;
    const accL = l;
    round(0, 0, text, at);
    h ^= accH;
    l ^= accL;
    rotate(27);
    multiply(P1H, P1L);
    add(P4H, P4L);
  }
  if (at + 4 <= text.length) {
    const accH = h;
    const accL = l;
    h = 0;
    l = word(text, at);
    multiply(P1H, P1L);
    h ^= accH;
    l ^= accL;
    rotate(23);
    multiply(P2H, P2L);
    add(P3H, P3L);
    at += 4;
  }
  for (; at < text.length; at++) {
    const accH = h;
    const accL = l;
    h = 0;
    l = text.charCodeAt(at) & 0xff;
    multiply(P5H, P5L);
    h ^= accH;
    l ^= accL;
    rotate(11);
    multiply(P1H, P1L);
  }
  // xorShift(33): the high half moves down by one more than a whole half.
  l ^= h >>> 1;
  multiply(P2H, P2L);
  xorShift(29);
  multiply(P3H, P3L);
  xorShift(32);
  into.set(h, l);
}
