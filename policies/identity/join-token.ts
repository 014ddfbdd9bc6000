/** Join tokens: how a process that Kubernetes does not vouch for proves once whom it was started as. */
import { createHash, randomBytes } from 'node:crypto';
import { err, ok, type Result } from '../kit/result.ts';
import { Secret } from '../kit/secret.ts';

const prefix = 'weft-join-';
const tokenBytes = 32;
const tokenShape = /^weft-join-[A-Za-z0-9_-]{43}$/;

/** SHA-256 of a token in hexadecimal: what is kept of it. A token has 256 random bits, so that no salt is needed. */
export function newJoinToken(): { readonly token: Secret<string>; readonly digest: string } {
  const token = prefix + randomBytes(tokenBytes).toString('base64url');
  return { token: new Secret(token), digest: digestOf(token) };
}

const digestOf = (token: string): string => createHash('sha256').update(token).digest('hex');

/** The digest of what looks like a join token; anything else is refused before anybody is asked about it. */
export function joinTokenDigest(token: string): Result<string, string> {
  return tokenShape.test(token) ? ok(digestOf(token)) : err('it is not a join token');
}

/** What is known of a token, and later of the process that used it. */
export interface JoinRecord {
  readonly digest: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly createdUnixMs: number;
  /** Until then it can be used. */
  readonly expiresUnixMs: number;
  readonly use: JoinUse | undefined;
}

interface JoinUse {
  /** SHA-256 of the public key (SubjectPublicKeyInfo) that it was used with: the process renews with this key alone. */
  readonly keyDigest: string;
  readonly joinedUnixMs: number;
  /** End of the newest certificate: after that, nothing can be renewed. */
  readonly certificateEndsUnixMs: number;
}

/** Of a Secret's name: as much of the digest as is needed to find it. */
const nameDigestChars = 32;
export const joinRecordName = (digest: string): string => `${prefix}${digest.slice(0, nameDigestChars)}`;

/** A token that nobody has used for so long after its end, or whose process could not renew for so long, is forgotten. */
const forgetAfterMs = 10 * 60_000;

export function isJoinOver(record: JoinRecord, nowUnixMs: number): boolean {
  const endMs = record.use?.certificateEndsUnixMs ?? record.expiresUnixMs;
  return endMs + forgetAfterMs < nowUnixMs;
}

/** Labels of the Secrets, by which they are found. */
export const joinLabel = 'weft.dev/join';
export const joinKeyLabel = 'weft.dev/join-key';
/** A label has room for 63 characters. */
const keyLabelChars = 48;
export const joinKeyLabelValue = (keyDigest: string): string => keyDigest.slice(0, keyLabelChars);

interface JoinSecret {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly type: 'weft.dev/join';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
  };
  readonly data: Readonly<Record<string, string>>;
}

const toBase64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

export function joinSecret(record: JoinRecord, resourceVersion?: string): JoinSecret {
  const { use } = record;
  const fields = {
    sha256: record.digest,
    namespace: record.namespace,
    serviceAccount: record.serviceAccount,
    created: time(record.createdUnixMs),
    expires: time(record.expiresUnixMs),
    ...(use === undefined
      ? {}
      : { key: use.keyDigest, joined: time(use.joinedUnixMs), certificateEnds: time(use.certificateEndsUnixMs) }),
  };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'weft.dev/join',
    metadata: {
      name: joinRecordName(record.digest),
      labels: {
        'app.kubernetes.io/managed-by': 'weft',
        [joinLabel]: use === undefined ? 'open' : 'used',
        ...(use === undefined ? {} : { [joinKeyLabel]: joinKeyLabelValue(use.keyDigest) }),
      },
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    data: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, toBase64(value)])),
  };
}

const time = (unixMs: number): string => new Date(unixMs).toISOString();
const hexDigest = /^[0-9a-f]{64}$/;
const name = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

/** The record in the data of a Secret; whoever may write there is trusted with identities, and may still mistype. */
export function parseJoinData(data: Readonly<Record<string, unknown>>): Result<JoinRecord, string> {
  const text = (field: string): string => {
    const value = data[field];
    return typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : '';
  };
  const digest = text('sha256');
  const [namespace, serviceAccount] = [text('namespace'), text('serviceAccount')];
  const [createdUnixMs, expiresUnixMs] = [Date.parse(text('created')), Date.parse(text('expires'))];
  if (!hexDigest.test(digest)) return err('sha256 is not 64 hexadecimal digits');
  if (!name.test(namespace)) return err('namespace is no name');
  if (!name.test(serviceAccount)) return err('serviceAccount is no name');
  if (Number.isNaN(expiresUnixMs) || Number.isNaN(createdUnixMs)) return err('created or expires is no time');
  const record = { digest, namespace, serviceAccount, createdUnixMs, expiresUnixMs };
  // Any trace of a use counts: a record that was damaged does not become a token again.
  if (['key', 'joined', 'certificateEnds'].every((field) => data[field] === undefined))
    return ok({ ...record, use: undefined });
  const keyDigest = text('key');
  const [joinedUnixMs, certificateEndsUnixMs] = [Date.parse(text('joined')), Date.parse(text('certificateEnds'))];
  if (!hexDigest.test(keyDigest)) return err('key is not 64 hexadecimal digits');
  if (Number.isNaN(joinedUnixMs) || Number.isNaN(certificateEndsUnixMs))
    return err('joined or certificateEnds is no time');
  return ok({ ...record, use: { keyDigest, joinedUnixMs, certificateEndsUnixMs } });
}
