/** `weft.ca.v1.Certificates/SignJwt` and `JwtBundle`: JWT-SVIDs, for the identity that the credential proves. */
import { create } from '@bufbuild/protobuf';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { TrustBundle } from '@weft/policies/model/trust';
import {
  type JwtBundleRequest,
  type JwtBundleResponse,
  JwtBundleResponseSchema,
  type SignJwtRequest,
  type SignJwtResponse,
  SignJwtResponseSchema,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import type { AuthFailure } from '../auth/caller.ts';
import type { SignFailure } from '../ca/authority.ts';
import { type JwtKeys, jwtRefreshSeconds } from '../ca/jwt-keys.ts';
import type { AuthenticatedCall } from './authenticate.ts';
import type { IssueLimits } from './issue-limits.ts';
import { type ProofParts, proveCaller } from './prove-caller.ts';

export interface JwtParts extends ProofParts {
  readonly jwtKeys: JwtKeys;
  readonly limits: IssueLimits;
  /** Anchors of our trust domain and of those that the mesh is federated with. */
  readonly trust: () => readonly TrustBundle[];
  /** Of a federated trust domain, of which a key has turned up that is not known. */
  readonly refetchKeys: (trustDomain: string) => Promise<void>;
  /** JWK Sets of the trust domains that the mesh is federated with. */
  readonly federatedKeys: () => readonly { readonly trustDomain: string; readonly jwks: string }[];
  readonly audit: (event: string, fields: Readonly<Record<string, unknown>>) => void;
}

const audiencesMax = 16;
const audienceBytesMax = 255;

function audienceProblem(audience: readonly string[]): string | undefined {
  if (audience.length === 0) return 'no audience: a token that everybody takes is nobody’s';
  if (audience.length > audiencesMax) return `more than ${audiencesMax} audiences`;
  const wrong = audience.find((one) => one === '' || Buffer.byteLength(one) > audienceBytesMax);
  return wrong === undefined ? undefined : `an audience is empty or longer than ${audienceBytesMax} bytes`;
}

export async function signJwt(
  parts: JwtParts,
  call: AuthenticatedCall & { getPeer(): string },
  { audience, ttlSeconds }: SignJwtRequest,
): Promise<Result<SignJwtResponse, AuthFailure | SignFailure>> {
  const problem = audienceProblem(audience);
  if (problem !== undefined) return err({ code: 'invalid-argument', message: problem });
  const proven = await proveCaller(parts, call);
  if (!proven.ok) return proven;
  const { caller, standing } = proven.value;
  // It would be good for any number of tokens, and for nothing once it was used.
  if (standing.as === 'joining')
    return err({ code: 'permission-denied', message: 'a join token is for a certificate; come back with that' });
  const admitted = parts.limits.admits('jwts', caller);
  if (!admitted.ok) return admitted;
  const signed = await parts.jwtKeys.sign(caller.spiffeId, audience, ttlSeconds * 1_000);
  if (!signed.ok) return err({ code: 'unavailable', message: signed.error });
  const { token, kid, issuedUnixMs, expiresUnixMs } = signed.value;
  parts.audit('JWT signed', {
    spiffeId: caller.spiffeId,
    pod: caller.pod?.name ?? '',
    podUid: caller.pod?.uid ?? '',
    via: caller.via,
    audience,
    kid,
    notAfter: new Date(expiresUnixMs).toISOString(),
    peer: call.getPeer(),
  });
  return ok(
    create(SignJwtResponseSchema, {
      spiffeId: caller.spiffeId,
      token,
      issuedUnixMs: BigInt(issuedUnixMs),
      expiresUnixMs: BigInt(expiresUnixMs),
    }),
  );
}

export async function jwtBundle(
  parts: JwtParts,
  call: AuthenticatedCall,
  { unknownKeyOf }: JwtBundleRequest,
): Promise<Result<JwtBundleResponse, AuthFailure>> {
  const proven = await proveCaller(parts, call);
  if (!proven.ok) return proven;
  if (unknownKeyOf !== '') await parts.refetchKeys(unknownKeyOf);
  const jwks = Buffer.from(JSON.stringify({ keys: parts.jwtKeys.publicKeys() }));
  const trust = parts.trust().map(({ trustDomain, anchorsPem }) => ({ trustDomain, anchorsPem }));
  const federated = parts.federatedKeys().map(({ trustDomain, jwks: text }) => ({
    trustDomain,
    jwks: Uint8Array.from(Buffer.from(text)),
  }));
  const refreshSeconds = jwtRefreshSeconds;
  return ok(create(JwtBundleResponseSchema, { jwks: Uint8Array.from(jwks), refreshSeconds, trust, federated }));
}
