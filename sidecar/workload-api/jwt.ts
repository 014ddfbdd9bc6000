/** JWT-SVIDs for one identity: fetched, kept for half of their life, and verified. */
import { publicKeysOf } from '@weft/policies/identity/jwks';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { trustDomainOf } from './bundles.ts';

export interface JwtAuthority {
  sign(audience: readonly string[]): Promise<{ readonly token: string; readonly lifeMs: number }>;
  /** `unknownKeyOf`: a federated trust domain of which a token names a key that was not told. */
  bundle(unknownKeyOf?: string): Promise<JwtBundles>;
}

export interface JwtBundles {
  /** JWK Set of our own trust domain. */
  readonly jwks: string;
  readonly refreshMs: number;
  readonly federated: readonly { readonly trustDomain: string; readonly jwks: string }[];
}

/** JWK Sets by the SPIFFE ID of the trust domain. */
export type KeySets = Readonly<Record<string, string>>;

/** JWT-SVID section 2.1: what a token may be signed by. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'];
/** Ours are signed so, and not otherwise. */
const OWN_ALGORITHMS = ['ES256'];

/** Different lists of audiences that are remembered. */
const TOKENS_MAX = 256;
const SIGNING_MAX = 64;
/** A token with a key that is not known asks for the keys again, and not more often than this. */
const REFRESH_MS_MIN = 10_000;
const RETRY_MS = 10_000;

/** Perhaps only not yet. */
class UnknownDomain extends Error {}

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
  private readonly listeners = new Set<(keySets: KeySets) => void>();
  private keySets: KeySets | undefined;
  private askedMs = Number.NEGATIVE_INFINITY;
  /** When keys of a federated trust domain were wanted anew; as many as there are of those. */
  private readonly wantedMs = new Map<string, number>();
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

  /** The JWK Sets of our trust domain and of those that it is federated with, now and at each change. The answer ends it. */
  watch(listener: (keySets: KeySets) => void): () => void {
    this.listeners.add(listener);
    if (this.keySets !== undefined) listener(this.keySets);
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
    if (this.keySets === undefined) await this.ask();
    for (let attempt = 1; ; attempt++) {
      try {
        const nowMs = this.clock.nowMs();
        if (nowMs >= this.freshUntilMs && nowMs - this.askedMs >= REFRESH_MS_MIN) await this.askQuietly();
        // It says itself whose keys are to be asked: each trust domain vouches for its own identities alone.
        const domain = trustDomainOf(decodeJwt(token).sub ?? '');
        const keys = this.keysOf(domain);
        if (keys === undefined) throw new UnknownDomain(`trust domain "${domain}" of the token is not trusted here`);
        const { payload } = await jwtVerify(token, keys, {
          algorithms: domain === trustDomainOf(this.spiffeId) ? OWN_ALGORITHMS : ALGORITHMS,
          audience,
          requiredClaims: ['sub', 'aud', 'exp'],
          currentDate: new Date(this.clock.unixMs()),
        });
        const { sub = '' } = payload;
        return ok({ ...payload, sub });
      } catch (error) {
        if (attempt === 1 && (await this.asksAgain(token, error))) continue;
        return err(error instanceof Error ? error.message : 'it cannot be read');
      }
    }
  }

  /** Whether the keys may be others now, because they were asked for again. */
  private async asksAgain(token: string, error: unknown): Promise<boolean> {
    const isKey = error instanceof errors.JWKSNoMatchingKey;
    if (!isKey && !(error instanceof UnknownDomain)) return false;
    const nowMs = this.clock.nowMs();
    const domain = isKey ? trustDomainOf(decodeJwt(token).sub ?? '') : '';
    // The control plane knows of ours, and has to ask about others.
    if (domain !== '' && domain !== trustDomainOf(this.spiffeId)) {
      if (nowMs - (this.wantedMs.get(domain) ?? Number.NEGATIVE_INFINITY) < REFRESH_MS_MIN) return false;
      this.wantedMs.set(domain, nowMs);
      await this.asking;
      await this.askQuietly(domain.slice('spiffe://'.length));
      return true;
    }
    if (nowMs - this.askedMs < REFRESH_MS_MIN) return false;
    await this.askQuietly();
    return true;
  }

  private keysOf(domain: string): ReturnType<typeof createLocalJWKSet> | undefined {
    const { keySets } = this;
    const text = keySets !== undefined && Object.hasOwn(keySets, domain) ? keySets[domain] : undefined;
    return text === undefined ? undefined : createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
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

  private async askQuietly(unknownKeyOf?: string): Promise<void> {
    // What was known before goes on holding.
    this.asking ??= this.ask(unknownKeyOf).then(
      () => {},
      () => {},
    );
    await this.asking;
    this.asking = undefined;
  }

  /** In how long to ask again. */
  private async ask(unknownKeyOf?: string): Promise<number> {
    this.askedMs = this.clock.nowMs();
    const { jwks, refreshMs, federated } = await this.authority.bundle(unknownKeyOf);
    const next: Record<string, string> = {};
    for (const one of federated) {
      const keys = withoutUse(one.jwks);
      if (keys !== undefined) next[`spiffe://${one.trustDomain}`] = keys;
    }
    const own = withoutUse(jwks);
    if (own === undefined) throw new Error('the authority tells keys that are no JWK Set');
    next[trustDomainOf(this.spiffeId)] = own;
    for (const domain of this.wantedMs.keys()) if (!Object.hasOwn(next, domain)) this.wantedMs.delete(domain);
    if (JSON.stringify(next) !== JSON.stringify(this.keySets)) {
      this.keySets = next;
      for (const listener of this.listeners) listener(next);
    }
    const againMs = Math.max(refreshMs, REFRESH_MS_MIN);
    this.freshUntilMs = this.clock.nowMs() + againMs;
    return againMs;
  }
}

/** Verifiers that know nothing of SPIFFE take `use: jwt-svid` for "not for signatures"; here there are no others. */
function withoutUse(jwks: string): string | undefined {
  const keys = publicKeysOf(jwks);
  return keys && JSON.stringify({ keys: keys.map(({ use: _, ...key }) => key) });
}
