import { join } from 'node:path';
import type { Clock } from '@weft/policies/kit/clock';
import { loadTransient } from '../transient.ts';
import type { ControlWire } from './codec.ts';

/** Longer than the pauses within a roll-out; to load it again takes some 20 ms of processor time. */
const IDLE_MS = 30_000;

/** The source, or its bundle. */
const codec = join(import.meta.dirname, import.meta.filename.endsWith('.ts') ? 'codec.ts' : 'codec.cjs');

/**
 * Lends the codec of the control plane's messages. With what it needs of Envoy's API it takes 2 to 3 MB, a
 * seventh of what an idle sidecar is, and what it is for comes seldom: so it is let go when nobody has asked for it for a while.
 */
export class WireDoor {
  private readonly clock: Clock;
  private held: ControlWire | undefined = undefined;
  private usedMs = 0;
  private watching = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Not to be kept by the caller. */
  readonly wire = (): ControlWire => {
    this.usedMs = this.clock.nowMs();
    if (this.held === undefined) {
      const loaded: typeof import('./codec.ts') = loadTransient(codec);
      this.held = loaded.controlWire;
    }
    if (!this.watching) this.watch(IDLE_MS);
    return this.held;
  };

  get loaded(): boolean {
    return this.held !== undefined;
  }

  letGo(): void {
    this.held = undefined;
  }

  private watch(delayMs: number): void {
    this.watching = true;
    this.clock.afterUnref(delayMs, () => {
      this.watching = false;
      const leftMs = this.usedMs + IDLE_MS - this.clock.nowMs();
      if (leftMs > 0) this.watch(leftMs);
      else this.letGo();
    });
  }
}
