/**
 * The Huffman code of RFC 7541 appendix B. It is canonical: codes of one length follow each other in the order of their
 * symbols, so the lengths say everything.
 */
import type { ByteWriter } from './byte-writer.ts';

const EOS = 256;
// biome-ignore format: a table, sixteen symbols a line
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
  30,
];

const lengths = Uint8Array.from(LENGTHS);
const codes = new Uint32Array(LENGTHS.length);

/** Bits of the state table: next state, symbol, and what the step means. */
const SYMBOL_SHIFT = 8;
const EMITS = 1 << 16;
const FAILS = 1 << 17;
/** The input may end in the state that the step leads to: what is begun is a prefix of EOS shorter than an octet. */
const ENDS = 1 << 18;
const STATE_MASK = 0xff;

/** 256 inner nodes of the code tree by 16 values of the next four bits. */
const steps: Uint32Array = buildTables();

function buildTables(): Uint32Array {
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  // Children of inner nodes: node numbers, or -1 - symbol; 0 (the root is no child) is not set yet.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  let length = 0;
  for (const symbol of order) {
    const bits = lengths[symbol] ?? 0;
    code *= 2 ** (bits - length);
    length = bits;
    codes[symbol] = code;
    let node = 0;
    for (let bit = bits - 1; bit > 0; bit--) {
      const side = Math.floor(code / 2 ** bit) % 2 === 0 ? 0 : 1;
      const pair = children[node] ?? [0, 0];
      if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
      node = pair[side];
    }
    (children[node] ?? [0, 0])[code % 2 === 0 ? 0 : 1] = -1 - symbol;
    code++;
  }
  return buildSteps(children);
}

/** Nodes on the way to EOS that are less than an octet deep: valid padding (RFC 7541 section 5.2). */
function endingNodes(children: readonly (readonly [number, number])[]): Set<number> {
  const ending = new Set<number>();
  for (let node = 0, depth = 0; depth < 8; depth++) {
    ending.add(node);
    node = children[node]?.[1] ?? 0;
  }
  return ending;
}

function buildSteps(children: readonly (readonly [number, number])[]): Uint32Array {
  const ending = endingNodes(children);
  const table = new Uint32Array(children.length * 16);
  for (let start = 0; start < children.length; start++) {
    for (let four = 0; four < 16; four++) {
      let node = start;
      let step = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const child = children[node]?.[(four >> bit) & 1 ? 1 : 0] ?? 0;
        if (child >= 0) {
          node = child;
          continue;
        }
        const symbol = -1 - child;
        step |= symbol === EOS ? FAILS : EMITS | (symbol << SYMBOL_SHIFT);
        node = 0;
      }
      table[start * 16 + four] = step | node | (ending.has(node) ? ENDS : 0);
    }
  }
  return table;
}

/** The shortest code has five bits, so no octet gives more than 1.6 symbols. */
export function decodedBytesMax(bytes: number): number {
  return Math.floor((bytes * 8) / 5);
}

/** Decodes into `target`, which has room for `decodedBytesMax`; the number of octets, or -1 for what no encoder makes. */
export function huffmanDecode(source: Buffer, start: number, end: number, target: Buffer): number {
  let state = 0;
  let step = ENDS;
  let length = 0;
  for (let i = start; i < end; i++) {
    const octet = source[i] ?? 0;
    step = steps[(state << 4) | (octet >> 4)] ?? FAILS;
    if ((step & (EMITS | FAILS)) !== 0) {
      if ((step & FAILS) !== 0) return -1;
      target[length++] = step >> SYMBOL_SHIFT;
    }
    state = step & STATE_MASK;
    step = steps[(state << 4) | (octet & 15)] ?? FAILS;
    if ((step & (EMITS | FAILS)) !== 0) {
      if ((step & FAILS) !== 0) return -1;
      target[length++] = step >> SYMBOL_SHIFT;
    }
    state = step & STATE_MASK;
  }
  return (step & ENDS) === 0 ? -1 : length;
}

/** Octets of the encoded text. */
export function huffmanBytes(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] ?? 0;
  return (bits + 7) >> 3;
}

/** Writes the encoded text where the writer has room for it. */
export function huffmanEncode(text: string, out: ByteWriter): void {
  const buffer = out.buffer;
  let at = out.at;
  let pending = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let code = codes[symbol] ?? 0;
    let length = lengths[symbol] ?? 0;
    if (length > 16) {
      // Thirty bits and seven pending ones are more than an integer holds: the upper part goes first.
      pending = (pending << (length - 16)) | (code >>> 16);
      bits += length - 16;
      while (bits >= 8) {
        bits -= 8;
        buffer[at++] = pending >>> bits;
      }
      code &= 0xffff;
      length = 16;
    }
    pending = (pending << length) | code;
    bits += length;
    while (bits >= 8) {
      bits -= 8;
      buffer[at++] = pending >>> bits;
    }
  }
  if (bits > 0) buffer[at++] = (pending << (8 - bits)) | (0xff >> bits);
  out.at = at;
}
