/** An issuer of tokens, made without the library that verifies them. */
import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  type SignKeyObjectInput,
  sign,
} from 'node:crypto';

type Json = Readonly<Record<string, unknown>>;
export type Kind = 'RS256' | 'RS512' | 'PS256' | 'ES256' | 'ES384' | 'EdDSA';

const made = new Map<string, { readonly privateKey: KeyObject; readonly publicKey: KeyObject }>();

/** Making keys is slow, so that each is made once. */
function keyPair(name: string, kind: Kind) {
  const known = made.get(`${name} ${kind}`);
  if (known !== undefined) return known;
  const pair =
    kind === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : kind === 'ES256' || kind === 'ES384'
        ? generateKeyPairSync('ec', { namedCurve: kind === 'ES256' ? 'P-256' : 'P-384' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 });
  made.set(`${name} ${kind}`, pair);
  return pair;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Issuer {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  publicKey(kind: Kind): KeyObject {
    return keyPair(this.name, kind).publicKey;
  }

  jwk(kind: Kind, more: Json = {}): Json {
    return {
      ...createPublicKey(keyPair(this.name, kind).privateKey).export({ format: 'jwk' }),
      kid: kind,
      alg: kind,
      use: 'sig',
      ...more,
    };
  }

  keys(...kinds: readonly Kind[]): string {
    return JSON.stringify({ keys: kinds.map((kind) => this.jwk(kind)) });
  }

  token(kind: Kind, claims: Json, header: Json = {}): string {
    const input = `${encode({ alg: kind, kid: kind, typ: 'JWT', ...header })}.${encode({ iss: this.name, ...claims })}`;
    const digest = kind === 'EdDSA' ? null : `sha${kind.slice(2)}`;
    return `${input}.${sign(digest, Buffer.from(input), this.signing(kind)).toString('base64url')}`;
  }

  private signing(kind: Kind): SignKeyObjectInput {
    const key = keyPair(this.name, kind).privateKey;
    if (kind.startsWith('ES')) return { key, dsaEncoding: 'ieee-p1363' };
    if (kind.startsWith('PS')) return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    return { key };
  }
}

/** RFC 8725 section 2.1: what a verifier takes that lets the token choose, of a secret that everybody knows. */
export function hmacToken(secret: string, claims: Json, header: Json = {}): string {
  const input = `${encode({ alg: 'HS256', typ: 'JWT', ...header })}.${encode(claims)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}

export const unsignedToken = (claims: Json, alg = 'none'): string =>
  `${encode({ alg, typ: 'JWT' })}.${encode(claims)}.`;
