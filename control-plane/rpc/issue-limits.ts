/** How much one caller may have signed: whoever has taken over one workload must not keep all others from renewing. */
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { AuthFailure, Caller } from '../auth/caller.ts';

interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

/** A sidecar renews at half life; programs behind it have certificates of their own. */
const CERTIFICATES: Allowance = { burst: 120, perSecond: 2 };
/** For each audience that its programs ask for, every few minutes. */
const JWTS: Allowance = { burst: 600, perSecond: 10 };
const CALLERS_MAX = 50_000;

class Buckets {
  private readonly clock: Clock;
  private readonly allowance: Allowance;
  /** Those that were used last come last. */
  private readonly used = new Map<string, { left: number; atMs: number }>();

  constructor(clock: Clock, allowance: Allowance) {
    this.clock = clock;
    this.allowance = allowance;
  }

  take(key: string): boolean {
    const { burst, perSecond } = this.allowance;
    const nowMs = this.clock.nowMs();
    const before = this.used.get(key);
    const left =
      before === undefined ? burst : Math.min(burst, before.left + ((nowMs - before.atMs) / 1_000) * perSecond);
    this.used.delete(key);
    this.used.set(key, { left: left < 1 ? left : left - 1, atMs: nowMs });
    if (this.used.size > CALLERS_MAX) for (const oldest of this.used.keys()) if (this.used.delete(oldest)) break;
    return left >= 1;
  }
}

export class IssueLimits {
  private readonly certificates: Buckets;
  private readonly jwts: Buckets;

  constructor(clock: Clock) {
    this.certificates = new Buckets(clock, CERTIFICATES);
    this.jwts = new Buckets(clock, JWTS);
  }

  admits(what: 'certificates' | 'jwts', { pod, keyDigest, spiffeId }: Caller): Result<void, AuthFailure> {
    const key = pod === undefined ? `${spiffeId} ${keyDigest ?? ''}` : `${spiffeId} ${pod.name} ${pod.uid}`;
    if (this[what].take(key)) return ok(undefined);
    const noun = what === 'jwts' ? 'JWT-SVIDs' : 'certificates';
    return err({ code: 'unavailable', message: `${spiffeId} has had too many ${noun} signed; try again in a moment` });
  }
}
