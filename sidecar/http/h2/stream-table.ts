const SLOTS_MIN = 8;
/** An empty table of more than this gives its memory back. */
const SLOTS_KEPT_MAX = 64;

const newSlots = <S>(count: number): (S | undefined)[] => new Array<S | undefined>(count).fill(undefined);

/**
 * The open streams of a connection by identifier. Open addressing: identifiers go up by two, so that their neighbours lie
 * next to each other. A Map would be rehashed by the runtime each time that its last stream goes.
 */
export class StreamTable<S extends { readonly id: number }> {
  size = 0;
  /** Never more than half full. */
  private slots = newSlots<S>(SLOTS_MIN);

  get(id: number): S | undefined {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** In the place of one that has its identifier. */
  add(stream: S): void {
    if ((this.size + 1) * 2 > this.slots.length) this.grow();
    if (put(this.slots, stream)) this.size++;
  }

  delete(id: number): void {
    const { slots } = this;
    const mask = slots.length - 1;
    let hole = (id >>> 1) & mask;
    for (; slots[hole]?.id !== id; hole = (hole + 1) & mask) if (slots[hole] === undefined) return;
    slots[hole] = undefined;
    this.size--;
    if (this.size === 0) {
      if (slots.length > SLOTS_KEPT_MAX) this.slots = newSlots(SLOTS_MIN);
      return;
    }
    // What a search would no longer find beyond the hole moves into it.
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined) return;
      const home = (stream.id >>> 1) & mask;
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      slots[hole] = stream;
      slots[at] = undefined;
      hole = at;
    }
  }

  /** As they are now: what happens to the table meanwhile does not matter. */
  values(): S[] {
    const all: S[] = [];
    for (const stream of this.slots) if (stream !== undefined) all.push(stream);
    return all;
  }

  private grow(): void {
    const slots = newSlots<S>(this.slots.length * 2);
    for (const stream of this.slots) if (stream !== undefined) put(slots, stream);
    this.slots = slots;
  }
}

/** False: it took the place of another. */
function put<S extends { readonly id: number }>(slots: (S | undefined)[], stream: S): boolean {
  const mask = slots.length - 1;
  let at = (stream.id >>> 1) & mask;
  for (; slots[at] !== undefined && slots[at]?.id !== stream.id; ) at = (at + 1) & mask;
  const isNew = slots[at] === undefined;
  slots[at] = stream;
  return isNew;
}
