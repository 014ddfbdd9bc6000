/** Verifies tokens of one issuer with its keys (RFC 7515, RFC 7519, RFC 8725). */
import { publicKeysOf } from '@weft/policies/identity/jwks';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { JwtProvider } from '@weft/policies/model/jwt';
import type { VerifiedJwt } from './verified.ts';

/** What a token failed at; the names are those of counters. */
type TokenFault =
  | 'malformed'
  | 'too_large'
  | 'too_many'
  | 'unknown_issuer'
  | 'unknown_key'
  | 'algorithm'
  | 'signature'
  | 'expired'
  | 'not_yet_valid'
  | 'audience'
  | 'claims'
  | 'type'
  /** Our own fault. */
  | 'not_verified';

export interface TokenError {
  readonly fault: TokenFault;
  /** For the client and the record: names what is wrong, and nothing of the token. */
  readonly detail: string;
}

export interface Verified {
  readonly jwt: VerifiedJwt;
  /** After which it has to be refused. */
  readonly untilUnixMs: number;
}

/** Signatures that only the issuer can make. HMAC would make a secret of what every sidecar knows (RFC 8725 section 3.2). */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/** Keys of one id, or all of them where a token names none: each costs a verification. */
const CANDIDATES_MAX = 8;

type Jose = typeof import('./jose.ts');

let loading: Promise<Jose> | undefined;

/** Only where a policy asks for it: it is not small. */
export function loadJose(): Promise<Jose> {
  loading ??= import('./jose.ts');
  return loading;
}

export class TokenVerifier {
  readonly provider: JwtProvider;
  private readonly clock: Clock;
  private readonly keys: readonly Record<string, unknown>[];
  private keySet: ReturnType<Jose['createLocalJWKSet']> | undefined = undefined;

  constructor(provider: JwtProvider, clock: Clock) {
    this.provider = provider;
    this.clock = clock;
    this.keys = publicKeysOf(provider.keys) ?? [];
  }

  async verify(token: string): Promise<Result<Verified, TokenError>> {
    const { issuer, clockSkewMs } = this.provider;
    if (this.keys.length === 0) return fail('unknown_key', `no key of ${issuer} is known`);
    const jose = await loadJose();
    try {
      const { payload, protectedHeader } = await this.withKey(jose, token);
      if (!isToken(protectedHeader.typ)) return fail('type', 'the token is of another type than JWT');
      const { exp, sub, aud } = payload;
      if (typeof exp !== 'number') return fail('claims', 'the token has no exp');
      if (sub !== undefined && typeof sub !== 'string') return fail('claims', 'sub of the token is no string');
      const audiences = typeof aud === 'string' ? [aud] : (aud ?? []);
      return ok({
        jwt: { claims: payload, issuer, subject: sub ?? '', audiences },
        untilUnixMs: exp * 1000 + clockSkewMs,
      });
    } catch (error) {
      return err(describe(jose, error, issuer));
    }
  }

  private async withKey(jose: Jose, token: string): ReturnType<typeof verifyWith> {
    this.keySet ??= jose.createLocalJWKSet({ keys: [...this.keys] });
    const options = {
      issuer: this.provider.issuer,
      algorithms: ALGORITHMS,
      clockTolerance: this.provider.clockSkewMs / 1000,
      currentDate: new Date(this.clock.unixMs()),
      requiredClaims: ['exp'],
      ...(this.provider.audiences.length === 0 ? {} : { audience: [...this.provider.audiences] }),
    };
    try {
      return await jose.jwtVerify(token, this.keySet, options);
    } catch (error) {
      if (!(error instanceof jose.errors.JWKSMultipleMatchingKeys)) throw error;
      return verifyWith(jose, token, error, options);
    }
  }
}

/** Several keys of one id: while an issuer changes them it may be any. */
async function verifyWith(
  jose: Jose,
  token: string,
  candidates: InstanceType<Jose['errors']['JWKSMultipleMatchingKeys']>,
  options: Parameters<Jose['jwtVerify']>[2],
) {
  let tried = 0;
  for await (const key of candidates) {
    tried += 1;
    if (tried > CANDIDATES_MAX) break;
    try {
      return await jose.jwtVerify(token, key, options);
    } catch (error) {
      if (!(error instanceof jose.errors.JWSSignatureVerificationFailed)) throw error;
    }
  }
  throw new jose.errors.JWSSignatureVerificationFailed();
}

/** RFC 8725 section 3.11: what is signed for another purpose, such as a logout token, is no token of access. */
function isToken(typ: unknown): boolean {
  if (typ === undefined) return true;
  if (typeof typ !== 'string') return false;
  const short = typ.toLowerCase().replace(/^application\//, '');
  return short === 'jwt' || short === 'at+jwt';
}

const fail = (fault: TokenFault, detail: string): Result<never, TokenError> => err({ fault, detail });

function describe(jose: Jose, error: unknown, issuer: string): TokenError {
  const { errors } = jose;
  if (error instanceof errors.JWTExpired) return { fault: 'expired', detail: 'the token is expired' };
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'aud') return { fault: 'audience', detail: 'the token is for another audience' };
    if (error.claim === 'nbf') return { fault: 'not_yet_valid', detail: 'the token is not valid yet' };
    if (error.claim === 'exp') return { fault: 'claims', detail: 'the token has no usable exp' };
    return { fault: 'claims', detail: 'a claim of the token is not as it has to be' };
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) {
    return { fault: 'signature', detail: `no key of ${issuer} made the signature of the token` };
  }
  if (error instanceof errors.JWKSNoMatchingKey) {
    return { fault: 'unknown_key', detail: `the token names no key of ${issuer} that may verify it` };
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return { fault: 'algorithm', detail: 'the algorithm of the token is not taken' };
  }
  return { fault: 'malformed', detail: 'the token cannot be read' };
}
