import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { QuotaLease, QuotaUse } from './messages.ts';

/** Requests that matched a global limit since the last answer, by its name, over all data threads. */
export type QuotaDemand = Readonly<Record<string, number>>;

/** What a limit may let through from now on, in all data threads together; undefined: as much of it as `holders` allow. */
export interface QuotaGrant {
  readonly limit: string;
  readonly tokensPerSecond: number | undefined;
  readonly holders: number;
}

export interface QuotaThreads {
  /** Takes the numbers: what is told once is not told again. */
  quotas(): Promise<QuotaDemand>;
  grant(grants: readonly QuotaGrant[]): void;
}

interface QuotaClientOptions {
  readonly lease: (uses: readonly QuotaUse[]) => Promise<readonly QuotaLease[]>;
  readonly threads: QuotaThreads;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly count: (event: string) => void;
}

const BUSY_MS = 500;
/** Where nobody asks for anything; well within the time of a lease. */
const IDLE_MS = 3_000;
const LIMITS_MAX = 64;

interface Held {
  tokensPerSecond: number;
  untilMs: number;
  holders: number;
  expired: boolean;
}

/**
 * Asks the control plane for leases of the global limits, for as long as there are any. A lease goes on until it ends,
 * whether or not the control plane can be reached; then each sidecar takes its even part of the limit.
 */
export class QuotaClient {
  private readonly options: QuotaClientOptions;
  private readonly held = new Map<string, Held>();
  private cancel: Cancel | undefined = undefined;
  private askedMs: number;
  private limits: readonly string[] = [];
  private closed = false;
  /** An answer is waited for, and whether there are limits by now that it says nothing of. */
  private asking = false;
  private again = false;

  constructor(options: QuotaClientOptions) {
    this.options = options;
    this.askedMs = options.clock.nowMs();
  }

  /** The names of the global limits that hold now. */
  follow(limits: readonly string[]): void {
    if (limits.length > LIMITS_MAX) this.options.count('quota.limits_max');
    this.limits = limits.slice(0, LIMITS_MAX);
    for (const name of this.held.keys()) if (!this.limits.includes(name)) this.held.delete(name);
    if (this.limits.length === 0) {
      this.cancel?.();
      this.cancel = undefined;
    } else if (this.asking) {
      this.again ||= this.limits.some((name) => !this.held.has(name));
    } else if (this.cancel === undefined && !this.closed) {
      // At once: a limit that is new has no lease.
      this.cancel = this.options.clock.afterUnref(0, () => void this.ask());
    }
  }

  close(): void {
    this.closed = true;
    this.cancel?.();
  }

  private async ask(): Promise<void> {
    this.cancel = undefined;
    this.asking = true;
    const busy = await this.exchange();
    this.asking = false;
    this.expire();
    if (this.closed || this.limits.length === 0) return;
    const { clock, prng } = this.options;
    const delayMs = this.again ? 0 : (busy ? BUSY_MS : IDLE_MS) * (0.9 + 0.2 * prng.next());
    this.again = false;
    this.cancel = clock.afterUnref(delayMs, () => void this.ask());
  }

  /** True: there is demand. */
  private async exchange(): Promise<boolean> {
    const { threads, lease, clock, count } = this.options;
    let busy = false;
    try {
      const demand = await threads.quotas();
      const nowMs = clock.nowMs();
      const seconds = Math.max(0.001, (nowMs - this.askedMs) / 1_000);
      this.askedMs = nowMs;
      const uses = this.limits.map((limit) => ({
        limit,
        demandPerSecond: (demand[limit] ?? 0) / seconds,
        leasedPerSecond: this.held.get(limit)?.tokensPerSecond ?? 0,
      }));
      busy = uses.some(({ demandPerSecond }) => demandPerSecond > 0);
      this.adopt(await lease(uses));
    } catch {
      count('quota.lease_failed');
    }
    return busy;
  }

  private adopt(leases: readonly QuotaLease[]): void {
    const nowMs = this.options.clock.nowMs();
    const grants: QuotaGrant[] = [];
    for (const { limit, tokensPerSecond, validMs, holders } of leases) {
      if (!this.limits.includes(limit) || !Number.isFinite(tokensPerSecond) || tokensPerSecond < 0) continue;
      this.held.set(limit, { tokensPerSecond, holders, untilMs: nowMs + validMs, expired: false });
      grants.push({ limit, tokensPerSecond, holders });
    }
    if (grants.length > 0) this.options.threads.grant(grants);
  }

  private expire(): void {
    const nowMs = this.options.clock.nowMs();
    for (const [limit, held] of this.held) {
      if (held.expired || held.untilMs > nowMs) continue;
      held.expired = true;
      held.tokensPerSecond = 0;
      this.options.count('quota.lease_expired');
      this.options.threads.grant([{ limit, tokensPerSecond: undefined, holders: held.holders }]);
    }
  }
}
