/**
 * The key sets that policies name: fetched once for the whole mesh and again at intervals, so that no sidecar has to
 * reach an issuer. What was good last is kept while an issuer cannot be reached, and across restarts.
 */
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Result } from '@weft/policies/kit/result';
import type { KeySets } from '../translate/context.ts';

/** An issuer publishes a key some time before it signs with it (OpenID Connect Core, section 10.1.1). */
const refreshMs = 120_000;
const retryMsMin = 2_000;
/** Of all policies together; what comes after is not fetched, and its status says so. */
const urisMax = 256;

interface JwksStoreOptions {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly fetch: (uri: string) => Promise<Result<string, string>>;
  /** The keys of these have changed. */
  readonly changed: (uris: ReadonlySet<string>) => void;
}

interface Entry {
  keys: string | undefined;
  problem: string | undefined;
  failures: number;
  timer: Cancel;
}

export class JwksStore implements KeySets {
  readonly counters = { fetched: 0, failed: 0, changed: 0 };
  private readonly entries = new Map<string, Entry>();
  private readonly options: JwksStoreOptions;
  private overflow = new Set<string>();
  /** Policies come one by one: a set is of no use before its own does. */
  private kept: ReadonlyMap<string, string> = new Map();
  private stopped = false;

  constructor(options: JwksStoreOptions) {
    this.options = options;
  }

  get(uri: string): string | undefined {
    return this.entries.get(uri)?.keys;
  }

  problem(uri: string): string | undefined {
    if (this.overflow.has(uri)) return `more than ${urisMax} places are named to fetch keys from`;
    return this.entries.get(uri)?.problem;
  }

  /** What was good before a restart; newer ones are fetched all the same. */
  restore(kept: ReadonlyMap<string, string>): void {
    this.kept = kept;
  }

  /** For keeping. */
  good(): ReadonlyMap<string, string> {
    return new Map([...this.entries].flatMap(([uri, { keys }]) => (keys === undefined ? [] : [[uri, keys]])));
  }

  get failing(): number {
    return [...this.entries.values()].filter(({ problem }) => problem !== undefined).length;
  }

  /** Which ones policies name now, the most important first. */
  want(uris: ReadonlySet<string>): void {
    if (this.stopped) return;
    const inOrder = [...uris];
    const wanted = new Set(inOrder.slice(0, urisMax));
    for (const [uri, entry] of this.entries) {
      if (wanted.has(uri)) continue;
      entry.timer();
      this.entries.delete(uri);
    }
    this.overflow = new Set(inOrder.slice(urisMax));
    for (const uri of wanted) {
      if (this.entries.has(uri)) continue;
      const entry = newEntry(this.kept.get(uri));
      this.entries.set(uri, entry);
      entry.timer = this.options.clock.afterUnref(0, () => void this.refresh(uri, entry));
    }
  }

  stop(): void {
    this.stopped = true;
    for (const entry of this.entries.values()) entry.timer();
  }

  private async refresh(uri: string, entry: Entry): Promise<void> {
    const { clock, fetch } = this.options;
    const result = await fetch(uri);
    if (this.stopped || this.entries.get(uri) !== entry) return;
    const before = { keys: entry.keys, problem: entry.problem };
    if (result.ok) {
      this.counters.fetched += 1;
      entry.keys = result.value;
      entry.problem = undefined;
      entry.failures = 0;
    } else {
      this.counters.failed += 1;
      entry.problem = result.error;
      entry.failures += 1;
    }
    entry.timer = clock.afterUnref(this.waitMs(entry), () => void this.refresh(uri, entry));
    if (before.keys === entry.keys && before.problem === entry.problem) return;
    if (before.keys !== entry.keys) this.counters.changed += 1;
    this.options.changed(new Set([uri]));
  }

  /** With jitter, so that replicas do not all ask at once. */
  private waitMs({ failures }: Entry): number {
    const waitMs = failures === 0 ? refreshMs : Math.min(refreshMs, retryMsMin * 2 ** Math.min(failures - 1, 10));
    return waitMs * (0.9 + 0.2 * this.options.prng.next());
  }
}

const newEntry = (keys: string | undefined): Entry => ({
  keys,
  problem: undefined,
  failures: 0,
  timer: () => undefined,
});
