/** Remembers for a short time which tokens were good, so that a reconnecting mesh does not ask about each again. */
import { createHash } from 'node:crypto';
import type { Clock } from '@weft/policies/kit/clock';
import { err, type Result } from '@weft/policies/kit/result';
import type { Secret } from '@weft/policies/kit/secret';
import type { AuthFailure, TokenIdentity, TokenVerifier } from './caller.ts';

interface TokenCacheLimits {
  readonly entriesMax: number;
  readonly ttlMs: number;
  /** Reviews under way at one time; guesses must not become a flood for the API server. */
  readonly reviewsMax: number;
}

const defaultLimits: TokenCacheLimits = { entriesMax: 10_000, ttlMs: 30_000, reviewsMax: 100 };

interface Entry {
  readonly identity: Result<TokenIdentity, AuthFailure>;
  readonly untilUnixMs: number;
}

export class CachedTokenVerifier implements TokenVerifier {
  readonly counters = { hits: 0, misses: 0, evicted: 0, refused: 0 };
  private readonly entries = new Map<string, Entry>();
  private readonly underWay = new Map<string, Promise<Result<TokenIdentity, AuthFailure>>>();
  private readonly inner: TokenVerifier;
  private readonly clock: Clock;
  private readonly limits: TokenCacheLimits;

  constructor(inner: TokenVerifier, clock: Clock, limits: TokenCacheLimits = defaultLimits) {
    this.inner = inner;
    this.clock = clock;
    this.limits = limits;
  }

  async verify(token: Secret<string>): Promise<Result<TokenIdentity, AuthFailure>> {
    // The digest stands for the token, so that no heap dump of the cache gives one away.
    const key = createHash('sha256').update(token.reveal()).digest('base64');
    const known = this.entries.get(key);
    if (known !== undefined && known.untilUnixMs > this.clock.unixMs()) {
      this.counters.hits += 1;
      return known.identity;
    }
    const same = this.underWay.get(key);
    if (same !== undefined) return same;
    if (this.underWay.size >= this.limits.reviewsMax) {
      this.counters.refused += 1;
      return err({ code: 'unavailable', message: `${this.limits.reviewsMax} tokens are under review; try again` });
    }
    this.counters.misses += 1;
    const review = this.review(key, token);
    this.underWay.set(key, review);
    try {
      return await review;
    } finally {
      this.underWay.delete(key);
    }
  }

  private async review(key: string, token: Secret<string>): Promise<Result<TokenIdentity, AuthFailure>> {
    const identity = await this.inner.verify(token);
    this.entries.delete(key);
    // A refusal may be wrong a moment later (the API server was restarting); it costs one review to find out.
    if (!identity.ok) return identity;
    const untilUnixMs = Math.min(
      this.clock.unixMs() + this.limits.ttlMs,
      identity.value.expiresUnixMs ?? Number.POSITIVE_INFINITY,
    );
    this.entries.set(key, { identity, untilUnixMs });
    if (this.entries.size > this.limits.entriesMax) {
      const [oldest] = this.entries.keys();
      if (oldest !== undefined) this.entries.delete(oldest);
      this.counters.evicted += 1;
    }
    return identity;
  }
}
