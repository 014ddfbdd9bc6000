/** Shares a limit out to those who asked for some of it lately. Pure; time comes in. */

/** Who has not asked for so long is gone, and what it had is free again. */
export const LEASE_VALID_MS = 10_000;
/** Of the limit, for one that has not been asked for anything yet. */
const FLOOR = 0.02;

interface Holder {
  demandPerSecond: number;
  leasedPerSecond: number;
  untilMs: number;
}

export interface Asked {
  readonly holder: string;
  readonly demandPerSecond: number;
  /** From before this control plane; what it does not know of is not free. */
  readonly leasedPerSecond: number;
  readonly limitPerSecond: number;
  /** Sidecars that may hold leases of it, here or at other replicas. */
  readonly candidates: number;
}

export interface Granted {
  readonly tokensPerSecond: number;
  readonly holders: number;
}

/**
 * One limit. What all hold together is never more than the limit: what one gives up another gets with its next question,
 * so that a shift of demand takes one round of questions, and nobody is let through twice for it.
 */
export class QuotaAllocator {
  private readonly holders = new Map<string, Holder>();
  /** Before, sidecars may hold leases of an earlier control plane that have not been told of yet. */
  private readonly settledMs: number;

  constructor(nowMs: number) {
    this.settledMs = nowMs + LEASE_VALID_MS;
  }

  get size(): number {
    return this.holders.size;
  }

  ask(asked: Asked, nowMs: number): Granted {
    this.forget(nowMs);
    const known = this.holders.get(asked.holder);
    const holder: Holder = known ?? { demandPerSecond: 0, leasedPerSecond: 0, untilMs: 0 };
    holder.demandPerSecond = asked.demandPerSecond;
    holder.untilMs = nowMs + LEASE_VALID_MS;
    this.holders.set(asked.holder, holder);
    const candidates = Math.max(asked.candidates, this.holders.size);
    // Other replicas serve the rest of them, and give out the rest of the limit.
    const budget = asked.limitPerSecond * (this.holders.size / candidates);
    if (nowMs < this.settledMs) {
      const before = known === undefined ? asked.leasedPerSecond : known.leasedPerSecond;
      const fair = asked.limitPerSecond / candidates;
      holder.leasedPerSecond = before > 0 ? Math.min(before, asked.limitPerSecond) : fair;
    } else {
      holder.leasedPerSecond = Math.max(0, Math.min(this.shareOf(holder, budget), budget - this.heldByOthers(holder)));
    }
    return { tokensPerSecond: holder.leasedPerSecond, holders: this.holders.size };
  }

  /** In proportion to demand; what nobody asks for is spread evenly, with a part left for who comes next. */
  private shareOf(holder: Holder, budget: number): number {
    const floor = (FLOOR * budget) / this.holders.size;
    let demand = 0;
    for (const one of this.holders.values()) demand += Math.max(one.demandPerSecond, floor);
    const own = Math.max(holder.demandPerSecond, floor);
    if (demand >= budget) return (budget * own) / demand;
    const parts = this.holders.size === 1 ? 1 : this.holders.size + 1;
    return own + (budget - demand) / parts;
  }

  private heldByOthers(holder: Holder): number {
    let held = 0;
    for (const one of this.holders.values()) if (one !== holder) held += one.leasedPerSecond;
    return held;
  }

  private forget(nowMs: number): void {
    for (const [name, { untilMs }] of this.holders) if (untilMs <= nowMs) this.holders.delete(name);
  }
}
