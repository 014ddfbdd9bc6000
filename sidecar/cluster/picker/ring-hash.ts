import type { Prng } from '@weft/policies/kit/prng';
import { SameCandidates, type Shares, sharesOf } from './hash/weights.ts';
import { Hash64, xxHash64 } from './hash/xxhash64.ts';
import type { Candidate, Picker } from './picker.ts';

/** Hashes of places in ascending order, and which candidate each belongs to. */
interface Ring {
  readonly high: Uint32Array;
  readonly low: Uint32Array;
  readonly owners: Uint32Array;
}

const emptyRing: Ring = { high: new Uint32Array(), low: new Uint32Array(), owners: new Uint32Array() };

/**
 * Envoy's ring hash, place for place (source/extensions/load_balancing_policies/ring_hash): each candidate has places
 * `xxHash64("<ip>:<port>_<n>")` in proportion to its weight, and a request goes to the next place from its own hash on.
 */
export class RingHashPicker<T extends Candidate> implements Picker<T> {
  private readonly size: { readonly sizeMin: number; readonly sizeMax: number };
  private readonly prng: Prng;
  private readonly same = new SameCandidates();
  private readonly random = new Hash64();
  private candidates: readonly T[] = [];
  private ring: Ring = emptyRing;

  constructor(size: { readonly sizeMin: number; readonly sizeMax: number }, prng: Prng) {
    this.size = size;
    this.prng = prng;
  }

  update(candidates: readonly T[]): void {
    const shares = sharesOf(candidates);
    this.candidates = shares.candidates;
    if (!this.same.isSame(shares.candidates)) this.ring = makeRing(shares, this.size.sizeMin, this.size.sizeMax);
  }

  pick(hash: Hash64 | undefined, attempt: number): T | undefined {
    const { owners } = this.ring;
    if (owners.length === 0) return undefined;
    const at = placeOf(this.ring, hash ?? randomHash(this.prng, this.random)) + attempt;
    return this.candidates[owners[at < owners.length ? at : at % owners.length] ?? 0];
  }
}

/** For a request without a key. */
export function randomHash(prng: Prng, into: Hash64): Hash64 {
  into.set(prng.next() * 4_294_967_296, prng.next() * 4_294_967_296);
  return into;
}

/** The first place at or after the hash; past the last one, the first. */
function placeOf({ high, low }: Ring, { hi, lo }: Hash64): number {
  let from = 0;
  let to = high.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    const h = high[middle] ?? 0;
    if (h < hi || (h === hi && (low[middle] ?? 0) < lo)) from = middle + 1;
    else to = middle;
  }
  return from === high.length ? 0 : from;
}

function makeRing<T extends Candidate>({ candidates, shares, min }: Shares<T>, sizeMin: number, sizeMax: number): Ring {
  if (candidates.length === 0) return emptyRing;
  // So that the one with the least weight has a whole number of places.
  const scale = Math.min(Math.ceil(min * sizeMin) / min, sizeMax);
  const size = Math.ceil(scale);
  const owners = new Uint32Array(size);
  /** Low half, high half of each. */
  const words = new Uint32Array(size * 2);
  const hash = new Hash64();
  let made = 0;
  let wanted = 0;
  for (const [i, { label }] of candidates.entries()) {
    // A running sum, or fractions of places would be lost.
    wanted += scale * (shares[i] ?? 0);
    for (let n = 0; made < wanted && made < size; n++) {
      xxHash64(`${label}_${n}`, hash);
      words[made * 2] = hash.lo;
      words[made * 2 + 1] = hash.hi;
      owners[made] = i;
      made++;
    }
  }
  return sorted(words, owners, made);
}

function sorted(words: Uint32Array, owners: Uint32Array, count: number): Ring {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  order.sort((a, b) => {
    const high = (words[a * 2 + 1] ?? 0) - (words[b * 2 + 1] ?? 0);
    return high === 0 ? (words[a * 2] ?? 0) - (words[b * 2] ?? 0) : high;
  });
  const ring = { high: new Uint32Array(count), low: new Uint32Array(count), owners: new Uint32Array(count) };
  for (const [to, from] of order.entries()) {
    ring.high[to] = words[from * 2 + 1] ?? 0;
    ring.low[to] = words[from * 2] ?? 0;
    ring.owners[to] = owners[from] ?? 0;
  }
  return ring;
}
