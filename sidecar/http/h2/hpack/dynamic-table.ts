interface Sized {
  readonly sizeBytes: number;
}

const SLOTS_MIN = 16;

/**
 * The dynamic table of RFC 7541 section 2.3.2 as a ring: position 0 is the newest entry. It holds at most `bytesMax` as
 * section 4.1 counts, so its slots are bounded too.
 */
export class DynamicTable<T extends Sized> {
  private slots: (T | undefined)[] = [];
  private mask = -1;
  /** Entries ever added: the slot of the next one is this modulo the number of slots. */
  added = 0;
  count = 0;
  bytes = 0;
  bytesMax: number;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  at(position: number): T | undefined {
    return position < this.count ? this.slots[(this.added - 1 - position) & this.mask] : undefined;
  }

  /** Takes an entry that fits; the caller has made room. */
  add(entry: T): void {
    if (this.count === this.slots.length) this.grow();
    this.slots[this.added & this.mask] = entry;
    // Sequence numbers stay small integers: a difference of two is right modulo 2^30 as well.
    this.added = (this.added + 1) & 0x3fffffff;
    this.count++;
    this.bytes += entry.sizeBytes;
  }

  removeOldest(): T | undefined {
    if (this.count === 0) return undefined;
    const slot = (this.added - this.count) & this.mask;
    const entry = this.slots[slot];
    this.slots[slot] = undefined;
    this.count--;
    this.bytes -= entry?.sizeBytes ?? 0;
    return entry;
  }

  /** Evicts until `bytes` more fit, or nothing is left (RFC 7541 section 4.4). */
  makeRoom(bytes: number): void {
    while (this.bytes + bytes > this.bytesMax && this.count > 0) this.removeOldest();
  }

  private grow(): void {
    const length = Math.max(SLOTS_MIN, this.slots.length * 2);
    const grown = new Array<T | undefined>(length).fill(undefined);
    for (let i = 0; i < this.count; i++) {
      grown[(this.added - 1 - i) & (length - 1)] = this.at(i);
    }
    this.slots = grown;
    this.mask = length - 1;
  }
}
