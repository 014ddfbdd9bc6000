import type { Prng } from '@weft/policies/kit/prng';
import { SameCandidates, type Shares, sharesOf } from './hash/weights.ts';
import { Hash64, xxHash64 } from './hash/xxhash64.ts';
import type { Candidate, Picker } from './picker.ts';
import { randomHash } from './ring-hash.ts';

interface Entry {
  readonly candidate: number;
  readonly share: number;
  readonly skip: number;
  /** Its next place in its own order of all places. */
  place: number;
  target: number;
}

/**
 * Envoy's Maglev, place for place (source/extensions/load_balancing_policies/maglev, after "Maglev: A Fast and Reliable
 * Software Network Load Balancer", listing 1): candidates take turns in filling a table of prime size, each in an order
 * of its own, the lighter ones less often.
 */
export class MaglevPicker<T extends Candidate> implements Picker<T> {
  private readonly tableSize: number;
  private readonly prng: Prng;
  private readonly same = new SameCandidates();
  private readonly scratch = new Hash64();
  private candidates: readonly T[] = [];
  private table: Uint32Array = new Uint32Array();

  constructor(tableSize: number, prng: Prng) {
    this.tableSize = tableSize;
    this.prng = prng;
  }

  update(candidates: readonly T[]): void {
    const shares = sharesOf(candidates);
    this.candidates = shares.candidates;
    if (!this.same.isSame(shares.candidates)) this.table = makeTable(shares, this.tableSize);
  }

  pick(hash: Hash64 | undefined, attempt: number): T | undefined {
    const { table, scratch } = this;
    if (table.length === 0) return undefined;
    let found = hash ?? randomHash(this.prng, scratch);
    if (attempt > 0) {
      // Envoy's: hash XOR (all ones - attempt + 1), which changes most bits.
      scratch.set(~found.hi, found.lo ^ (0xffff_ffff - attempt + 1));
      found = scratch;
    }
    return this.candidates[table[found.modulo(table.length)] ?? 0];
  }
}

function makeTable<T extends Candidate>({ candidates, shares, max }: Shares<T>, size: number): Uint32Array {
  if (candidates.length === 0) return new Uint32Array();
  const hash = new Hash64();
  const entries = candidates.map(({ label }, candidate): Entry => {
    xxHash64(label, hash);
    const place = hash.modulo(size);
    xxHash64(label, hash, 0, 1);
    return { candidate, share: shares[candidate] ?? 0, skip: hash.modulo(size - 1) + 1, place, target: 0 };
  });
  // Who fills first matters: in the order of the names, whatever the order of the endpoints.
  const nameOf = ({ candidate }: Entry): string => candidates[candidate]?.label ?? '';
  entries.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  const table = new Uint32Array(size);
  const taken = new Uint8Array(size);
  let filled = 0;
  for (let turn = 1; filled < size; turn++) {
    for (const entry of entries) {
      if (filled === size) break;
      if (turn * entry.share < entry.target) continue;
      entry.target += max;
      const { skip } = entry;
      let { place } = entry;
      while (taken[place] === 1) {
        place += skip;
        if (place >= size) place -= size;
      }
      table[place] = entry.candidate;
      taken[place] = 1;
      place += skip;
      entry.place = place < size ? place : place - size;
      filled++;
    }
  }
  return table;
}
