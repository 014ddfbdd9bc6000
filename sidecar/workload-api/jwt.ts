/** JWT-SVIDs for one identity: fetched, kept for half of their life, and verified. */
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { trustDomainOf } from './bundles.ts';

export interface JwtAuthority {
  sign(audience: readonly string[]): Promise<{ readonly token: string; readonly lifeMs: number }>;
  bundle(): Promise<{ readonly jwks: string; readonly refreshMs: number }>;
}

/** Different lists of audiences that are remembered. */
const TOKENS_MAX = 256;
const SIGNING_MAX = 64;
/** A token with a key that is not known asks for the keys again, and not more often than this. */
const REFRESH_MS_MIN = 10_000;
const RETRY_MS = 10_000;

interface Held {
  readonly token: string;
  readonly untilMs: number;
}

export class JwtSvids {
  private readonly authority: JwtAuthority;
  private readonly spiffeId: SpiffeId;
  private readonly clock: Clock;
  private readonly held = new Map<string, Held>();
  private readonly underWay = new Map<string, Promise<string>>();
  private readonly listeners = new Set<(jwks: string) => void>();
  private jwks: string | undefined;
  private askedMs = Number.NEGATIVE_INFINITY;
  /** Until then the keys are those of now: one that the authority gave up is not believed for longer. */
  private freshUntilMs = Number.NEGATIVE_INFINITY;
  private asking: Promise<void> | undefined;
  private cancelRefresh: Cancel | undefined;

  constructor(authority: JwtAuthority, spiffeId: SpiffeId, clock: Clock) {
    this.authority = authority;
    this.spiffeId = spiffeId;
    this.clock = clock;
  }

  /** Rejects when the authority cannot be asked or refuses. */
  async fetch(audience: readonly string[]): Promise<string> {
    const key = JSON.stringify([...audience].sort());
    const known = this.held.get(key);
    if (known !== undefined && known.untilMs > this.clock.nowMs()) return known.token;
    const same = this.underWay.get(key);
    if (same !== undefined) return same;
    if (this.underWay.size >= SIGNING_MAX) throw new Error(`${SIGNING_MAX} tokens are being signed; try again`);
    const signing = this.sign(key, audience);
    this.underWay.set(key, signing);
    try {
      return await signing;
    } finally {
      this.underWay.delete(key);
    }
  }

  /** The JWK Set of our trust domain, now and whenever it changes. The answer ends it. */
  watch(listener: (jwks: string) => void): () => void {
    this.listeners.add(listener);
    if (this.jwks !== undefined) listener(this.jwks);
    if (this.cancelRefresh === undefined) this.refreshSoon(0);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size > 0) return;
      this.cancelRefresh?.();
      this.cancelRefresh = undefined;
    };
  }

  /**
   * JWT-SVID section 4: signature by a key of the trust domain of `sub`, audience, time. Rejects when no keys are known
   * and none can be had, which says nothing about the token.
   */
  async validate(token: string, audience: string): Promise<Result<JWTPayload & { readonly sub: string }, string>> {
    if (this.jwks === undefined) await this.ask();
    for (let attempt = 1; ; attempt++) {
      try {
        const nowMs = this.clock.nowMs();
        if (nowMs >= this.freshUntilMs && nowMs - this.askedMs >= REFRESH_MS_MIN) await this.askQuietly();
        const keys = createLocalJWKSet(JSON.parse(this.jwks ?? '{"keys":[]}') as JSONWebKeySet);
        const { payload } = await jwtVerify(token, keys, {
          algorithms: ['ES256'],
          audience,
          requiredClaims: ['sub', 'aud', 'exp'],
          currentDate: new Date(this.clock.unixMs()),
        });
        const { sub = '' } = payload;
        if (trustDomainOf(sub) !== trustDomainOf(this.spiffeId))
          return err(`"${sub}" is of another trust domain than ${trustDomainOf(this.spiffeId)}`);
        return ok({ ...payload, sub });
      } catch (error) {
        const unknownKey = error instanceof errors.JWKSNoMatchingKey;
        if (unknownKey && attempt === 1 && this.clock.nowMs() - this.askedMs >= REFRESH_MS_MIN) await this.askQuietly();
        else return err(error instanceof Error ? error.message : 'it cannot be read');
      }
    }
  }

  close(): void {
    this.cancelRefresh?.();
    this.cancelRefresh = undefined;
    this.listeners.clear();
  }

  private async sign(key: string, audience: readonly string[]): Promise<string> {
    const { token, lifeMs } = await this.authority.sign(audience);
    this.held.delete(key);
    this.held.set(key, { token, untilMs: this.clock.nowMs() + lifeMs / 2 });
    if (this.held.size > TOKENS_MAX) for (const oldest of this.held.keys()) if (this.held.delete(oldest)) break;
    return token;
  }

  private refreshSoon(delayMs: number): void {
    this.cancelRefresh = this.clock.after(delayMs, () => {
      this.ask().then(
        (refreshMs) => this.cancelRefresh !== undefined && this.refreshSoon(refreshMs),
        () => this.cancelRefresh !== undefined && this.refreshSoon(RETRY_MS),
      );
    });
  }

  private async askQuietly(): Promise<void> {
    // What was known before goes on holding.
    this.asking ??= this.ask().then(
      () => {},
      () => {},
    );
    await this.asking;
    this.asking = undefined;
  }

  /** In how long to ask again. */
  private async ask(): Promise<number> {
    this.askedMs = this.clock.nowMs();
    const { jwks, refreshMs } = await this.authority.bundle();
    const next = withoutUse(jwks);
    if (next !== this.jwks) {
      this.jwks = next;
      for (const listener of this.listeners) listener(next);
    }
    const againMs = Math.max(refreshMs, REFRESH_MS_MIN);
    this.freshUntilMs = this.clock.nowMs() + againMs;
    return againMs;
  }
}

/** Verifiers that know nothing of SPIFFE take `use: jwt-svid` for "not for signatures"; here there are no others. */
function withoutUse(jwks: string): string {
  const { keys } = JSON.parse(jwks) as { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  return JSON.stringify({ keys: keys.map(({ use: _, ...key }) => key) });
}
