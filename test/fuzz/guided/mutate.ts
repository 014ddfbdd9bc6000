/** Random numbers that a seed repeats (mulberry32). */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** From 0 to less than `bound`. */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  }

  of<T>(all: readonly T[]): T | undefined {
    return all[this.below(all.length)];
  }
}

const CHANGES_MAX = 5;
const CHUNK_BYTES_MAX = 32;
const EDGES: readonly number[] = [0, 1, 0x0d, 0x0a, 0x20, 0x7f, 0x80, 0xff];

const replaced = (input: Buffer, start: number, end: number, by: Buffer): Buffer =>
  Buffer.concat([input.subarray(0, start), by, input.subarray(end)]);

/** One change of an input: an octet, a chunk, a word of the language, or a piece of another input. */
function change(input: Buffer, random: Random, others: readonly Buffer[], words: readonly Buffer[]): Buffer {
  const at = random.below(input.length + 1);
  const end = Math.min(input.length, at + 1 + random.below(CHUNK_BYTES_MAX));
  switch (random.below(9)) {
    case 0:
      return replaced(input, at, Math.min(at + 1, input.length), Buffer.from([random.below(256)]));
    case 1:
      return replaced(
        input,
        at,
        Math.min(at + 1, input.length),
        Buffer.from([(input[at] ?? 0) ^ (1 << random.below(8))]),
      );
    case 2:
      return replaced(input, at, Math.min(at + random.below(2), input.length), Buffer.from([random.of(EDGES) ?? 0]));
    case 3:
      return replaced(input, at, end, Buffer.alloc(0));
    case 4:
      return replaced(input, at, at, input.subarray(at, end));
    case 5:
    case 6:
      return replaced(input, at, random.below(2) === 0 ? at : end, random.of(words) ?? Buffer.alloc(0));
    case 7: {
      const other = random.of(others) ?? input;
      const from = random.below(other.length + 1);
      return replaced(input, at, input.length, other.subarray(from));
    }
    default: {
      const other = random.of(others) ?? input;
      const from = random.below(other.length + 1);
      return replaced(input, at, at, other.subarray(from, from + CHUNK_BYTES_MAX));
    }
  }
}

/** A few changes, at most `bytesMax` long. */
export function mutate(
  input: Buffer,
  random: Random,
  others: readonly Buffer[],
  words: readonly Buffer[],
  bytesMax: number,
): Buffer {
  let changed = input;
  for (let left = 1 + random.below(CHANGES_MAX); left > 0; left--) changed = change(changed, random, others, words);
  return changed.subarray(0, bytesMax);
}
