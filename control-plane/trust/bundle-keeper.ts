/** Keeps the bundles that were good last where they survive a restart of every replica. */
import type { Clock } from '@weft/policies/kit/clock';
import type { Log } from '@weft/policies/kit/log';
import type { Result } from '@weft/policies/kit/result';
import { WorkQueue } from '../kube/queue.ts';
import { type KeptBundle, readKeptBundles, writeKeptBundles } from './kept-bundles.ts';

/** A ConfigMap, or a file. */
export interface KeptStore {
  load(): Promise<Result<Readonly<Record<string, string>>, string>>;
  save(data: Readonly<Record<string, string>>): Promise<Result<void, string>>;
}

export interface BundleKeeperOptions {
  readonly store: KeptStore;
  readonly clock: Clock;
  readonly log: Pick<Log, 'warn'>;
  readonly isLeader: () => boolean;
}

/** The same bundle fetched again is written no more often: only its time is another. */
const CONFIRM_MS = 3_600_000;
const KEY = 'federation';

export class BundleKeeper {
  private readonly options: BundleKeeperOptions;
  private readonly queue: WorkQueue;
  private good: () => readonly KeptBundle[] = () => [];
  /** What was written last, by trust domain. */
  private written: ReadonlyMap<string, KeptBundle> = new Map();
  private leftOut = '';

  constructor(options: BundleKeeperOptions) {
    this.options = options;
    this.queue = new WorkQueue({
      clock: options.clock,
      reconcile: () => this.write(),
      intervalMs: 1_000,
      parallelMax: 1,
    });
  }

  /** Before anything is served. What cannot be read is fetched again, and said. */
  async load(): Promise<readonly KeptBundle[]> {
    const { store, log } = this.options;
    const found = await store.load();
    if (!found.ok) {
      log.warn('kept bundles of federated trust domains not read', { reason: found.error });
      return [];
    }
    const { kept, faults } = readKeptBundles(found.value);
    for (const fault of faults) log.warn('a kept bundle of a federated trust domain is left aside', { entry: fault });
    this.written = byDomain(kept);
    return kept;
  }

  /** `good`: what is held now of all that was fetched. */
  follow(good: () => readonly KeptBundle[]): void {
    this.good = good;
  }

  /** After a fetch, and when this replica begins to lead. */
  check(): void {
    if (this.options.isLeader()) this.queue.add(KEY);
  }

  stop(): void {
    this.queue.stop();
  }

  private async write(): Promise<boolean> {
    const { store, log, isLeader } = this.options;
    const good = this.good();
    if (!isLeader() || !this.differs(good)) return true;
    const { data, leftOut } = writeKeptBundles(good);
    if (leftOut.join() !== this.leftOut && leftOut.length > 0)
      log.warn('bundles too large to be kept over a restart', { trustDomains: leftOut });
    this.leftOut = leftOut.join();
    const saved = await store.save(data);
    if (saved.ok) this.written = byDomain(good);
    else log.warn('bundles of federated trust domains not kept', { reason: saved.error });
    return saved.ok;
  }

  private differs(good: readonly KeptBundle[]): boolean {
    if (good.length !== this.written.size) return true;
    return good.some((one) => {
      const before = this.written.get(one.trustDomain);
      return before === undefined || one.fetchedUnixMs - before.fetchedUnixMs >= CONFIRM_MS || !isSame(one, before);
    });
  }
}

const byDomain = (kept: readonly KeptBundle[]): ReadonlyMap<string, KeptBundle> =>
  new Map(kept.map((one) => [one.trustDomain, one]));

const isSame = (one: KeptBundle, other: KeptBundle): boolean =>
  one.configured === other.configured &&
  one.bundle.anchorsPem === other.bundle.anchorsPem &&
  one.bundle.sequence === other.bundle.sequence &&
  one.bundle.refreshHintSeconds === other.bundle.refreshHintSeconds &&
  JSON.stringify(one.bundle.jwtKeys) === JSON.stringify(other.bundle.jwtKeys);
