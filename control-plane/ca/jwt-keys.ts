/** The keys that sign JWT-SVIDs: published before they sign, and for as long as a token of theirs may live. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose';
import { z } from 'zod';

const rotateEveryMs = 24 * 3_600_000;
/** Replicas look for new keys within `refreshMs`, verifiers within what `refreshSeconds` tells them. */
const publishAheadMs = 15 * 60_000;
const refreshMs = 60_000;
export const jwtRefreshSeconds = 300;
const jwtTtlMsDefault = 5 * 60_000;
const ttlMsMin = 30_000;
const ttlMsMax = 3_600_000;
/** Verifiers' clocks differ. */
const leewayMs = 5 * 60_000;
const keysMax = 16;

export interface JwtKeyStore {
  load(): Promise<Result<{ readonly text: string; readonly version: string } | undefined, string>>;
  /** `version` undefined: there is to be none yet. `changed`: somebody was faster. */
  save(text: string, version: string | undefined): Promise<Result<'saved' | 'changed', string>>;
}

/** JWK of RFC 7517 as SPIFFE Trust Domain and Bundle section 4.2 wants it. */
interface JwtPublicKey {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly kid: string;
  readonly use: 'jwt-svid';
}

const stored = z.strictObject({
  keys: z
    .array(
      z.strictObject({
        kid: z.string().min(1),
        privateKey: z.string(),
        createdUnixMs: z.number(),
        signsFromUnixMs: z.number(),
      }),
    )
    .min(1)
    .max(keysMax),
});
type StoredKey = z.output<typeof stored>['keys'][number];

interface Key {
  readonly row: StoredKey;
  readonly privateKey: KeyObject;
  readonly jwk: JwtPublicKey;
}

interface SignedJwt {
  readonly token: string;
  readonly kid: string;
  readonly issuedUnixMs: number;
  readonly expiresUnixMs: number;
}

export class JwtKeys {
  private readonly store: JwtKeyStore;
  private readonly clock: Clock;
  private readonly listeners = new Set<() => void>();
  private keys: readonly Key[] = [];
  private version: string | undefined;
  private cancel: Cancel | undefined;

  /** Without keys until the first `refresh`: what is wrong with them stops nothing but JWT-SVIDs. */
  constructor(store: JwtKeyStore, clock: Clock) {
    this.store = store;
    this.clock = clock;
  }

  /** What anybody may know: every key that a valid token may be signed with, now or soon. */
  publicKeys(): readonly JwtPublicKey[] {
    return this.keys.map((key) => key.jwk);
  }

  /** Called when `publicKeys` has changed. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** JWT-SVID sections 2 and 3: `sub`, `aud` and `exp`, signed with ES256. */
  async sign(subject: SpiffeId, audience: readonly string[], wishMs: number): Promise<Result<SignedJwt, string>> {
    const nowMs = this.clock.unixMs();
    const key = this.keys.findLast((one) => one.row.signsFromUnixMs <= nowMs) ?? this.keys[0];
    if (key === undefined) return err('there is no key for JWT-SVIDs yet; the log of the control plane says why');
    const issued = Math.floor(nowMs / 1_000);
    const ttlMs = wishMs === 0 ? jwtTtlMsDefault : Math.min(Math.max(wishMs, ttlMsMin), ttlMsMax);
    const expires = issued + Math.floor(ttlMs / 1_000);
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: 'ES256', kid: key.row.kid, typ: 'JWT' })
      .setSubject(subject)
      .setAudience([...audience])
      .setIssuedAt(issued)
      .setExpirationTime(expires)
      .sign(key.privateKey);
    return ok({ token, kid: key.row.kid, issuedUnixMs: issued * 1_000, expiresUnixMs: expires * 1_000 });
  }

  /** Looks for keys, now and again, since other replicas make some too, and makes the next one in time. */
  start(failed: (reason: string) => void): void {
    const look = (): void => {
      void this.refresh().then((refreshed) => {
        if (!refreshed.ok) failed(refreshed.error);
        if (this.cancel !== undefined) this.cancel = this.clock.afterUnref(refreshMs, look);
      });
    };
    this.cancel = () => {};
    look();
  }

  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  /** Of replicas that make a key at one time, one is stored; the others take that. */
  async refresh(): Promise<Result<void, string>> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const found = await this.store.load();
      if (!found.ok) return found;
      const rows = found.value === undefined ? ok([]) : parse(found.value.text);
      if (!rows.ok) return rows;
      const next = await planned(rows.value, this.clock.unixMs());
      if (next === rows.value) return this.adopt(rows.value, found.value?.version);
      const saved = await this.store.save(JSON.stringify({ keys: next }), found.value?.version);
      if (!saved.ok) return saved;
    }
    return err('the keys for JWT-SVIDs keep changing under us');
  }

  private async adopt(rows: readonly StoredKey[], version: string | undefined): Promise<Result<void, string>> {
    if (version === this.version && this.keys.length > 0) return ok(undefined);
    const keys: Key[] = [];
    for (const row of rows) {
      const key = await keyOf(row);
      if (!key.ok) return key;
      keys.push(key.value);
    }
    this.keys = keys.toSorted((a, b) => a.row.signsFromUnixMs - b.row.signsFromUnixMs);
    this.version = version;
    for (const listener of this.listeners) listener();
    return ok(undefined);
  }
}

function parse(text: string): Result<readonly StoredKey[], string> {
  try {
    const parsed = stored.safeParse(JSON.parse(text));
    return parsed.success ? ok(parsed.data.keys) : err('the stored keys for JWT-SVIDs are malformed; delete them');
  } catch {
    return err('the stored keys for JWT-SVIDs are no JSON; delete them');
  }
}

async function keyOf(row: StoredKey): Promise<Result<Key, string>> {
  try {
    const privateKey = createPrivateKey(row.privateKey);
    const { x, y, crv } = await exportJWK(createPublicKey(privateKey));
    if (crv !== 'P-256' || x === undefined || y === undefined) return err(`key ${row.kid} is not of P-256`);
    return ok({ row, privateKey, jwk: { kty: 'EC', crv, x, y, kid: row.kid, use: 'jwt-svid' } });
  } catch {
    return err(`key ${row.kid} for JWT-SVIDs is no private key in PEM`);
  }
}

/** The keys that there should be; the very same list when nothing is due. */
async function planned(rows: readonly StoredKey[], nowMs: number): Promise<readonly StoredKey[]> {
  const sorted = rows.toSorted((a, b) => a.signsFromUnixMs - b.signsFromUnixMs);
  const newest = sorted.at(-1);
  const kept = sorted.filter((_, at) => {
    const successor = sorted[at + 1];
    return successor === undefined || successor.signsFromUnixMs + ttlMsMax + leewayMs > nowMs;
  });
  if (newest === undefined) return [await newKey(nowMs, nowMs)];
  if (newest.createdUnixMs + rotateEveryMs <= nowMs)
    return [...kept, await newKey(nowMs, nowMs + publishAheadMs)].slice(-keysMax);
  return kept.length === rows.length ? rows : kept;
}

async function newKey(createdUnixMs: number, signsFromUnixMs: number): Promise<StoredKey> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    kid: await calculateJwkThumbprint(await exportJWK(publicKey)),
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    createdUnixMs,
    signsFromUnixMs,
  };
}
