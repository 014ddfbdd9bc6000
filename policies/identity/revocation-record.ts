/** Revocations as they are kept: a ConfigMap whose entries are one revocation each, so that two of them never collide. */
import { createHash } from 'node:crypto';
import { err, ok, type Result } from '../kit/result.ts';
import type { Revocation } from '../model/trust.ts';
import { serialOf } from './revocations.ts';
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts';

export const REVOCATIONS_CONFIG_MAP = 'weft-revocations';
/** What the control plane reads; a sidecar keeps all of them in memory. */
export const REVOCATIONS_MAX = 2_000;
const REASON_CHARS_MAX = 256;

export interface RevocationRecord {
  readonly identity?: SpiffeId;
  readonly serial?: string;
  readonly reason: string;
  readonly atUnixMs: number;
  /** It counts no longer from then on: the certificate has ended by itself. 0: until it is taken back. */
  readonly expiresUnixMs: number;
  /** Of an identity: certificates that are issued from then on are believed. */
  readonly mayReissue: boolean;
}

/** The key of its entry: the same thing revoked twice is one revocation. */
export const revocationKey = ({ identity, serial }: Pick<RevocationRecord, 'identity' | 'serial'>): string =>
  createHash('sha256')
    .update(identity ?? `serial ${serial}`)
    .digest('hex')
    .slice(0, 32);

export const formatRevocation = (record: RevocationRecord): string =>
  JSON.stringify({
    ...(record.identity === undefined ? {} : { identity: record.identity }),
    ...(record.serial === undefined ? {} : { serial: record.serial }),
    reason: record.reason,
    at: new Date(record.atUnixMs).toISOString(),
    ...(record.expiresUnixMs === 0 ? {} : { expires: new Date(record.expiresUnixMs).toISOString() }),
    ...(record.mayReissue ? { mayReissue: true } : {}),
  });

export function parseRevocation(text: string): Result<RevocationRecord, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return err('it is not JSON');
  }
  if (typeof json !== 'object' || json === null) return err('it is not a JSON object');
  const field = (name: string): unknown => Reflect.get(json, name);
  const { identity, serial } = { identity: field('identity'), serial: field('serial') };
  if ((identity === undefined) === (serial === undefined)) return err('it needs either identity or serial');
  const atUnixMs = Date.parse(String(field('at') ?? ''));
  const expires = field('expires');
  const expiresUnixMs = expires === undefined ? 0 : Date.parse(String(expires));
  if (Number.isNaN(atUnixMs) || Number.isNaN(expiresUnixMs))
    return err('at and expires are times as RFC 3339 writes them');
  const rest = {
    reason: String(field('reason') ?? '').slice(0, REASON_CHARS_MAX),
    atUnixMs,
    expiresUnixMs,
    mayReissue: field('mayReissue') === true,
  };
  if (serial !== undefined) {
    if (typeof serial !== 'string' || !/^[0-9a-fA-F]{1,40}$/.test(serial))
      return err('serial is 1 to 40 hexadecimal digits');
    return ok({ serial: serialOf(serial), ...rest });
  }
  const parsed = parseSpiffeId(String(identity));
  return parsed.ok ? ok({ identity: parsed.value, ...rest }) : err(parsed.error);
}

export interface ReadRevocations {
  readonly revoked: readonly Revocation[];
  /** By key, for people: they are not understood, and count for nothing. */
  readonly faults: readonly string[];
  /** Keys of those beyond the bound, which count for nothing either. */
  readonly beyond: readonly string[];
  /** When the next of them expires; 0: none does. */
  readonly nextExpiryUnixMs: number;
}

/** The oldest, whose certificates have most likely ended: what is revoked now has to count. */
function tooMany(good: readonly { readonly key: string; readonly value: RevocationRecord }[]): ReadonlySet<string> {
  if (good.length <= REVOCATIONS_MAX) return new Set();
  const newestFirst = good.toSorted((a, b) => b.value.atUnixMs - a.value.atUnixMs);
  return new Set(newestFirst.slice(REVOCATIONS_MAX).map(({ key }) => key));
}

/** `backdateMs`: certificates begin that long before they are issued. */
export function readRevocations(
  data: Readonly<Record<string, string>>,
  nowUnixMs: number,
  backdateMs: number,
): ReadRevocations {
  const revoked: Revocation[] = [];
  const faults: string[] = [];
  let nextExpiryUnixMs = 0;
  const good: { readonly key: string; readonly value: RevocationRecord }[] = [];
  // In the order of their keys: the same entries are the same resource on every replica.
  for (const key of Object.keys(data).toSorted()) {
    const record = parseRevocation(data[key] ?? '');
    if (!record.ok) {
      faults.push(`${key}: ${record.error}`);
      continue;
    }
    const { expiresUnixMs } = record.value;
    if (expiresUnixMs === 0 || expiresUnixMs > nowUnixMs) good.push({ key, value: record.value });
  }
  const left = tooMany(good);
  for (const { key, value } of good) {
    if (left.has(key)) continue;
    const { identity, serial, reason, atUnixMs, expiresUnixMs, mayReissue } = value;
    if (expiresUnixMs > 0 && (nextExpiryUnixMs === 0 || expiresUnixMs < nextExpiryUnixMs))
      nextExpiryUnixMs = expiresUnixMs;
    if (identity !== undefined) {
      const issuedBeforeUnixMs = mayReissue ? atUnixMs - backdateMs : 0;
      revoked.push({ kind: 'identity', spiffeId: identity, issuedBeforeUnixMs, reason });
    } else if (serial !== undefined) revoked.push({ kind: 'serial', serialHex: serial, reason });
  }
  return { revoked, faults, beyond: [...left], nextExpiryUnixMs };
}
