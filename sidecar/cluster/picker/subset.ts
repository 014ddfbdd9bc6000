import { Hash64, xxHash64 } from './hash/xxhash64.ts';

/** How far the number of lots may be from the best one, in powers of two, before all clients draw anew. */
const SLACK = 0.75;

/**
 * The endpoints that one client uses, of many. Endpoints are dealt into lots, a power of two of them, and as many clients
 * in a row as there are lots take one lot each: every endpoint has exactly one client of each such row. Each row deals
 * anew. An endpoint's lot depends on itself alone, so that when one comes or goes, nobody changes more than that one.
 */
export class SubsetChooser {
  private readonly size: number;
  private readonly client: number;
  private readonly hash = new Hash64();
  private lots = 0;

  /** `client`: a number of 32 bits; those of all clients had best be without gaps. */
  constructor(size: number, client: number) {
    this.size = size;
    this.client = client >>> 0;
  }

  /** `total`: how many endpoints there are, usable or not, so that an outage moves nobody to other lots. */
  choose<T extends { readonly label: string }>(candidates: readonly T[], total: number): readonly T[] {
    this.lots = lotsFor(total / this.size, this.lots);
    const mask = this.lots - 1;
    if (mask === 0) return candidates;
    const wanted = Math.min(candidates.length, Math.ceil(this.size / 2));
    const lot = this.client & mask;
    const row = (this.client & ~mask) >>> 0;
    const lotOf = candidates.map(({ label }) => dealtTo(label, row, mask, this.hash));
    let chosen = candidates.filter((_, i) => lotOf[i] === lot);
    // A lot that is nearly empty, or whose endpoints fail, is helped out by those after it.
    for (let more = 1; chosen.length < wanted && more <= mask; more++) {
      const other = (lot + more) & mask;
      chosen = chosen.concat(candidates.filter((_, i) => lotOf[i] === other));
    }
    return chosen;
  }
}

/** The lot of an endpoint in a row of clients; `hash` is room to work in. */
export function dealtTo(label: string, row: number, mask: number, hash: Hash64): number {
  xxHash64(label, hash, 0, row);
  return (hash.lo & mask) >>> 0;
}

export function lotsFor(ratio: number, before: number): number {
  const best = Math.max(0, Math.log2(ratio));
  if (before > 0 && Math.abs(best - Math.log2(before)) <= SLACK) return before;
  return 2 ** Math.min(30, Math.round(best));
}

/** A number for a client with this address: neighbours have neighbouring ones. */
export function clientNumber(ip: string): number {
  if (!ip.includes(':')) return ip.split('.').reduce((number, part) => (number << 8) | Number(part), 0) >>> 0;
  const hash = new Hash64();
  xxHash64(ip, hash);
  return hash.lo;
}
