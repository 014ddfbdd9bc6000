/** Whether everybody who is to trust the anchors of now does, before one that is new begins to sign. */
import type { Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { AnchorRecord } from './rotation.ts';
import { readUnheard, unheardKeyOf, writeUnheard } from './state.ts';
import type { CaData } from './store.ts';

/** In that time sidecars come back to a control plane that has started anew, and are told what it announces. */
const comeBackMs = 15_000;
/** Beyond `announce`: who is connected and does not answer holds up a rotation no longer. */
const waitMsMax = 2 * 60_000;
/** What a replica has said of its sidecars is said again after the first, and counts until the second. */
const saidAgainMs = 10_000;
const saidMsMax = 30_000;
const namesLoggedMax = 20;

export interface HearingOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** One replica writes. */
  readonly isLeader: () => boolean;
  readonly replica: string;
  /** How long an anchor is trusted before anything is signed under it. */
  readonly announceMs: () => number;
  /** Names of sidecars that are connected to this replica and have not taken the anchors of now. */
  readonly unheard?: () => readonly string[];
}

export class Hearing {
  readonly counters = { unheard: 0 };
  private readonly options: HearingOptions;
  private readonly startedMs: number;
  /** Sidecars that had not taken the anchors at the last look, and of them those that had not at the one before either. */
  private seen: ReadonlySet<string> | undefined;
  private own: readonly string[] = [];
  private others: readonly string[] = [];
  private anchor: string | undefined;
  /** Time alone would let the anchor sign: since when, by this process. */
  private dueMs: number | undefined;

  constructor(options: HearingOptions) {
    this.options = options;
    this.startedMs = options.clock.nowMs();
  }

  /** Who is waited for. */
  get waitsFor(): readonly string[] {
    return [...this.own, ...this.others];
  }

  /** Once a look. `target`: what is to sign. */
  look(target: AnchorRecord | undefined, data: CaData): void {
    const { clock, announceMs, unheard, replica } = this.options;
    const anchor = target?.role === 'announced' ? target.fingerprint : undefined;
    if (anchor !== this.anchor) {
      this.seen = undefined;
      this.dueMs = undefined;
    }
    this.anchor = anchor;
    if (target === undefined || anchor === undefined) {
      this.own = [];
      this.others = [];
      return;
    }
    const now = unheard?.() ?? [];
    // Somebody is just connecting at any time: it is told all of it at once, and is not waited for.
    this.own = now.filter((name) => this.seen?.has(name) ?? true);
    this.seen = new Set(now);
    const unixMs = clock.unixMs();
    this.others = [...readUnheard(data, replica).values()].flatMap((one) =>
      one.anchor === anchor && unixMs - one.atMs < saidMsMax ? one.names : [],
    );
    if (unixMs - target.sinceMs >= announceMs()) this.dueMs ??= clock.nowMs();
  }

  /** Whoever leads waits for all sidecars that are known of; the other replicas follow it. */
  get isOver(): boolean {
    const { isLeader, clock, announceMs } = this.options;
    const nowMs = clock.nowMs();
    if (this.dueMs !== undefined && nowMs - this.dueMs >= waitMsMax) return true;
    const hasBeenThere = nowMs - this.startedMs >= Math.min(comeBackMs, announceMs());
    return isLeader() && hasBeenThere && this.waitsFor.length === 0;
  }

  /** What the store is to hold for whoever leads to know of our sidecars; what nobody says any more goes. */
  say(data: Record<string, string>): void {
    const { isLeader, clock, replica } = this.options;
    const unixMs = clock.unixMs();
    const said = readUnheard(data, '');
    const own = unheardKeyOf(replica);
    if (isLeader()) for (const [key, { atMs }] of said) if (unixMs - atMs >= saidMsMax) delete data[key];
    if (isLeader() || this.anchor === undefined || this.own.length === 0) {
      delete data[own];
      return;
    }
    const last = said.get(own);
    if (last?.anchor === this.anchor && unixMs - last.atMs < saidAgainMs) return;
    data[own] = writeUnheard({ anchor: this.anchor, atMs: unixMs, names: [...this.own] });
  }

  /** An anchor has begun to sign. */
  ended(anchor: string): void {
    if (this.waitsFor.length === 0) return;
    this.counters.unheard += 1;
    const sidecars = this.waitsFor.slice(0, namesLoggedMax);
    this.options.log.warn('an anchor signs that not every sidecar has acknowledged', { anchor, sidecars });
  }
}
