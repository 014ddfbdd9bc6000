/** How much one caller may have signed: whoever has taken over one workload must not keep all others from renewing. */
import type { Clock } from '@weft/policies/kit/clock';
import { KeyedBuckets } from '@weft/policies/kit/keyed-buckets';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { TokenBucketSettings } from '@weft/policies/kit/token-bucket';
import type { AuthFailure, Caller } from '../auth/caller.ts';

/** A sidecar renews at half life; programs behind it have certificates of their own. */
const CERTIFICATES: TokenBucketSettings = { tokensMax: 120, tokensPerFill: 2, fillIntervalMs: 1_000 };
/** For each audience that its programs ask for, every few minutes. */
const JWTS: TokenBucketSettings = { tokensMax: 600, tokensPerFill: 10, fillIntervalMs: 1_000 };
const CALLERS_MAX = 50_000;

export class IssueLimits {
  private readonly clock: Clock;
  private readonly certificates = new KeyedBuckets(CERTIFICATES, CALLERS_MAX);
  private readonly jwts = new KeyedBuckets(JWTS, CALLERS_MAX);

  constructor(clock: Clock) {
    this.clock = clock;
  }

  admits(what: 'certificates' | 'jwts', { pod, keyDigest, spiffeId }: Caller): Result<void, AuthFailure> {
    const key = pod === undefined ? `${spiffeId} ${keyDigest ?? ''}` : `${spiffeId} ${pod.name} ${pod.uid}`;
    const nowMs = this.clock.nowMs();
    if (this[what].of(key, nowMs).take(nowMs)) return ok(undefined);
    const noun = what === 'jwts' ? 'JWT-SVIDs' : 'certificates';
    return err({ code: 'unavailable', message: `${spiffeId} has had too many ${noun} signed; try again in a moment` });
  }
}
