import type { Clock } from '@weft/policies/kit/clock';
import type { HttpLimits } from '@weft/policies/model/listener';
import { type Deadlines, deadlinesOf, type Timed } from '../../net/deadlines.ts';

const NEVER = Number.POSITIVE_INFINITY;

/** The one deadline that a downstream connection has at a time: idle, head, request or exchange. */
export class RequestTimers {
  private readonly owner: Timed;
  private readonly limits: HttpLimits;
  private readonly clock: Clock;
  private readonly deadlines: Deadlines;
  /** When the whole request has to be there. */
  private requestDeadlineMs = NEVER;

  constructor(owner: Timed, limits: HttpLimits, clock: Clock) {
    this.owner = owner;
    this.limits = limits;
    this.clock = clock;
    this.deadlines = deadlinesOf(clock);
    this.deadlines.add(owner);
    this.waitIdle();
  }

  stop(): void {
    this.deadlines.remove(this.owner);
  }

  /** 0: for ever. */
  wait(timeoutMs: number): void {
    this.deadlines.set(this.owner, timeoutMs === 0 ? NEVER : this.clock.nowMs() + timeoutMs);
  }

  waitIdle(): void {
    this.wait(this.limits.idleTimeoutMs);
  }

  /** The first byte of a request is there. */
  beginRequest(): void {
    const timeoutMs = this.limits.requestTimeoutMs;
    this.requestDeadlineMs = timeoutMs === 0 ? NEVER : this.clock.nowMs() + timeoutMs;
  }

  waitHead(): void {
    this.beginRequest();
    const headTimeoutMs = this.limits.headTimeoutMs === 0 ? NEVER : this.limits.headTimeoutMs;
    this.deadlines.set(this.owner, Math.min(this.clock.nowMs() + headTimeoutMs, this.requestDeadlineMs));
  }

  /** Something was sent or received in an exchange. */
  touch(idleMs: number, waitsForRequest: boolean): void {
    const idleAtMs = idleMs === 0 ? NEVER : this.clock.nowMs() + idleMs;
    this.deadlines.set(this.owner, waitsForRequest ? Math.min(idleAtMs, this.requestDeadlineMs) : idleAtMs);
  }

  requestIsLate(nowMs: number): boolean {
    return nowMs >= this.requestDeadlineMs;
  }
}
