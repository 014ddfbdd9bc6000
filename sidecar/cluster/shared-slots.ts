/** What is counted for one cluster or listener; the place of each in a thread's line. */
export const SLOTS = { connections: 0, pending: 1, requests: 2, retries: 3 } as const;
export type Slot = (typeof SLOTS)[keyof typeof SLOTS];

/** Int32 of one cache line: a thread writes no line that another one writes. */
const LINE = 16;

/** Counters of one cluster or listener of the whole sidecar: one line for each data thread, written by it alone. */
export const createBlock = (threads: number): SharedArrayBuffer =>
  new SharedArrayBuffer(threads * LINE * Int32Array.BYTES_PER_ELEMENT);

/** What a thread that died had under way is given back. */
export function clearLine(block: SharedArrayBuffer, thread: number): void {
  const counters = new Int32Array(block);
  for (let at = thread * LINE; at < (thread + 1) * LINE; at++) Atomics.store(counters, at, 0);
}

/** One thread's view of a block. */
export class SlotShare {
  private readonly counters: Int32Array;
  private readonly own: number;

  constructor(block: SharedArrayBuffer, thread: number) {
    this.counters = new Int32Array(block);
    this.own = thread * LINE;
  }

  get threads(): number {
    return this.counters.length / LINE;
  }

  set(slot: Slot, value: number): void {
    Atomics.store(this.counters, this.own + slot, value);
  }

  /** Of all threads, the own one included. */
  total(slot: Slot): number {
    const { counters } = this;
    let sum = 0;
    for (let at: number = slot; at < counters.length; at += LINE) sum += Atomics.load(counters, at);
    return sum;
  }
}
