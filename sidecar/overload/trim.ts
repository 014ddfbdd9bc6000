import { getHeapStatistics } from 'node:v8';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { ListenerStats } from '../listener/manager.ts';
import { memoryReturner } from './give-back.ts';

const AFTER_START_MS = 1_000;
const LOOK_EVERY_MS = 5_000;
const QUIET_MS_MIN = 30_000;
/** Less is not worth a pause. */
const HELD_BYTES_MIN = 1_000_000;

interface TrimOptions {
  readonly clock: Clock;
  readonly listeners: () => readonly ListenerStats[] | Promise<readonly ListenerStats[]>;
  readonly count: (event: string) => void;
  /** What can be had again: let go when the start is over, and not in vain swept around while it is in use. */
  readonly spare?: { readonly loaded: boolean; letGo(): void };
}

/** Of the calling thread. */
interface HeldMemory {
  heldBytes(): number;
  giveBack(): void;
}

const heap = (): HeldMemory => ({
  heldBytes: () => getHeapStatistics().total_heap_size,
  giveBack: memoryReturner(),
});

/**
 * Gives back what loading has left behind, about 8 MB which V8 would keep for later, and afterwards what a burst has. It
 * stops the thread for some 40 ms, so that it is done without connections only: a second after the start, or when there
 * were none for half a minute.
 */
export function trimWhenIdle(options: TrimOptions, memory: HeldMemory = heap()): Cancel {
  const trimmer = new Trimmer(options, memory);
  trimmer.start();
  return () => trimmer.close();
}

class Trimmer {
  private readonly options: TrimOptions;
  private readonly memory: HeldMemory;
  private quietSinceMs = Number.NEGATIVE_INFINITY;
  /** Connections until the last look: those that have come and gone between two are nowhere else to be seen. */
  private accepted = 0;
  /** What was left when it was last given back. */
  private keptBytes = 0;
  private closed = false;
  private cancel: Cancel = () => undefined;

  constructor(options: TrimOptions, memory: HeldMemory) {
    this.options = options;
    this.memory = memory;
  }

  start(): void {
    this.cancel = this.options.clock.afterUnref(AFTER_START_MS, () => {
      this.options.spare?.letGo();
      void this.look();
    });
  }

  close(): void {
    this.closed = true;
    this.cancel();
  }

  private lookAfter(delayMs: number): void {
    this.cancel = this.options.clock.afterUnref(delayMs, () => void this.look());
  }

  private async look(): Promise<void> {
    const { clock, listeners, spare } = this.options;
    const stats = await listeners();
    if (this.closed) return;
    const accepted = stats.reduce((sum, listener) => sum + listener.accepted, 0);
    const connected = accepted !== this.accepted || stats.some(({ connections }) => connections > 0);
    this.accepted = accepted;
    if (connected || spare?.loaded === true) this.quietSinceMs = clock.nowMs();
    else if (clock.nowMs() - this.quietSinceMs >= QUIET_MS_MIN) this.trim();
    this.lookAfter(LOOK_EVERY_MS);
  }

  private trim(): void {
    const { memory } = this;
    if (memory.heldBytes() - this.keptBytes < HELD_BYTES_MIN) return;
    memory.giveBack();
    this.keptBytes = memory.heldBytes();
    this.options.count('memory.given-back');
  }
}
