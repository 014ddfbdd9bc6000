/** Whether everybody who is to trust the anchors of now does, before one that is new begins to sign. */
import type { Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { AnchorRecord } from './rotation.ts';

/** In that time sidecars come back to a control plane that has started anew, and are told what it announces. */
const comeBackMs = 15_000;
/** Beyond `announce`: who is connected and does not answer holds up a rotation no longer. */
const waitMsMax = 2 * 60_000;
const namesLoggedMax = 20;

export interface HearingOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** One replica writes. */
  readonly isLeader: () => boolean;
  /** How long an anchor is trusted before anything is signed under it. */
  readonly announceMs: () => number;
  /** Names of sidecars that are connected to this replica and have not taken the anchors of now. */
  readonly unheard?: () => readonly string[];
}

export class Hearing {
  readonly counters = { unheard: 0 };
  private readonly options: HearingOptions;
  private readonly startedMs: number;
  private names: readonly string[] = [];
  /** Time alone would let it sign: since when, by this process. */
  private due: { readonly anchor: string; readonly sinceMs: number } | undefined;

  constructor(options: HearingOptions) {
    this.options = options;
    this.startedMs = options.clock.nowMs();
  }

  /** Who is waited for. */
  get waitsFor(): readonly string[] {
    return this.names;
  }

  /** Whoever leads waits for the sidecars that it knows; the others follow it. `target`: what is to sign. */
  isOver(target: AnchorRecord | undefined): boolean {
    const { isLeader, clock, announceMs, unheard } = this.options;
    if (target?.role !== 'announced') {
      this.names = [];
      this.due = undefined;
      return true;
    }
    this.names = unheard?.() ?? [];
    const nowMs = clock.nowMs();
    if (this.due?.anchor !== target.fingerprint) this.due = undefined;
    if (clock.unixMs() - target.sinceMs >= announceMs()) this.due ??= { anchor: target.fingerprint, sinceMs: nowMs };
    if (this.due !== undefined && nowMs - this.due.sinceMs >= waitMsMax) return true;
    const hasBeenThere = nowMs - this.startedMs >= Math.min(comeBackMs, announceMs());
    return isLeader() && hasBeenThere && this.names.length === 0;
  }

  /** An anchor has begun to sign. */
  ended(anchor: string): void {
    if (this.names.length === 0) return;
    this.counters.unheard += 1;
    const sidecars = this.names.slice(0, namesLoggedMax);
    this.options.log.warn('an anchor signs that not every sidecar has acknowledged', { anchor, sidecars });
  }
}
