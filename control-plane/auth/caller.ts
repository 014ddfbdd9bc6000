/** Who makes an RPC, as its credential proves it: a service account token or a mesh certificate. */
import { type CertificateFacts, serialOf } from '@weft/policies/identity/revocations';
import {
  formatSpiffeId,
  parseServiceIdentity,
  type ServiceIdentity,
  type SpiffeId,
  type TrustDomain,
} from '@weft/policies/identity/spiffe-id';
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { keyDigestOf } from './key-digest.ts';

/** Audience of the tokens that the mesh takes: a token for the API server is none of ours. */
export const TOKEN_AUDIENCE = 'weft.dev';

interface BoundPod {
  readonly name: string;
  /** Empty where the source of the token knows none. */
  readonly uid: string;
}

export interface TokenIdentity {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: BoundPod | undefined;
  readonly expiresUnixMs: number | undefined;
}

export interface AuthFailure {
  readonly code: 'unauthenticated' | 'permission-denied' | 'unavailable';
  readonly message: string;
}

export interface TokenVerifier {
  verify(token: Secret<string>): Promise<Result<TokenIdentity, AuthFailure>>;
}

export interface Caller {
  readonly spiffeId: SpiffeId;
  readonly identity: ServiceIdentity;
  /** Proven by the token; a certificate names only the account. */
  readonly pod: BoundPod | undefined;
  readonly via: 'token' | 'certificate' | 'join-token';
  /** SHA-256 of the client certificate's public key (SubjectPublicKeyInfo), in hexadecimal. */
  readonly keyDigest?: string;
}

interface Credential {
  /** Value of the `authorization` metadata. */
  readonly authorization: string | undefined;
  /** DER of the client certificate, if TLS has verified its chain. */
  readonly certificate: Uint8Array | undefined;
}

const tokenCharsMax = 16_384;
const denied = (message: string): Result<never, AuthFailure> => err({ code: 'unauthenticated', message });

/** What is believed of certificates beside their chain. */
interface CertificateTrust {
  readonly aliases: () => readonly TrustDomain[];
  /** Why it is revoked. */
  readonly refusal: (certificate: CertificateFacts) => string | undefined;
}

export class Authenticator {
  private readonly tokens: TokenVerifier;
  private readonly trustDomain: TrustDomain;
  private readonly clock: Clock;
  private readonly trust: CertificateTrust | undefined;

  constructor(tokens: TokenVerifier, trustDomain: TrustDomain, clock: Clock, trust?: CertificateTrust) {
    this.trust = trust;
    this.tokens = tokens;
    this.trustDomain = trustDomain;
    this.clock = clock;
  }

  async authenticate(credential: Credential): Promise<Result<Caller, AuthFailure>> {
    if (credential.authorization !== undefined) return this.byToken(credential.authorization);
    if (credential.certificate !== undefined) return this.byCertificate(credential.certificate);
    return denied(
      `no credential: send "authorization: Bearer <token>" with a service account token of audience ${TOKEN_AUDIENCE}, or a mesh certificate`,
    );
  }

  private async byToken(authorization: string): Promise<Result<Caller, AuthFailure>> {
    const [, token] = /^Bearer ([\x21-\x7e]+)$/i.exec(authorization) ?? [];
    if (token === undefined) return denied('the authorization metadata is not of the form "Bearer <token>"');
    if (token.length > tokenCharsMax) return denied(`the token is longer than ${tokenCharsMax} characters`);
    const verified = await this.tokens.verify(new Secret(token));
    if (!verified.ok) return verified;
    const { namespace, serviceAccount, pod } = verified.value;
    const identity = { trustDomain: this.trustDomain, namespace, serviceAccount };
    return ok({ spiffeId: formatSpiffeId(identity), identity, pod, via: 'token' });
  }

  private byCertificate(der: Uint8Array): Result<Caller, AuthFailure> {
    const certificate = parseCertificate(der);
    if (!certificate.ok) return denied(`client ${certificate.error}`);
    const { spiffeIds, notAfterMs, notBeforeMs } = certificate.value;
    const [spiffeId] = spiffeIds;
    // X509-SVID section 2: exactly one.
    if (spiffeId === undefined || spiffeIds.length !== 1)
      return denied('the client certificate does not carry exactly one SPIFFE ID');
    // TLS looked at it once, when the connection began.
    const nowMs = this.clock.unixMs();
    if (notAfterMs < nowMs) return denied(`the client certificate expired at ${new Date(notAfterMs).toISOString()}`);
    if (notBeforeMs > nowMs)
      return denied(`the client certificate is not valid before ${new Date(notBeforeMs).toISOString()}`);
    const keyDigest = keyDigestOf(certificate.value.publicKey);
    const identity = parseServiceIdentity(spiffeId);
    if (!identity.ok) return denied(identity.error);
    const serialHex = serialOf(Buffer.from(certificate.value.serial).toString('hex'));
    const revoked = this.trust?.refusal({ spiffeId, serialHex, notBeforeUnixMs: notBeforeMs });
    if (revoked !== undefined) return denied(`the client certificate is not taken: ${revoked}`);
    if (this.trust?.aliases().includes(identity.value.trustDomain) === true) {
      const own = { ...identity.value, trustDomain: this.trustDomain };
      return ok({ spiffeId: formatSpiffeId(own), identity: own, pod: undefined, via: 'certificate', keyDigest });
    }
    if (identity.value.trustDomain !== this.trustDomain) {
      return denied(
        `the client certificate is of trust domain ${identity.value.trustDomain}, this is ${this.trustDomain}`,
      );
    }
    return ok({ spiffeId, identity: identity.value, pod: undefined, via: 'certificate', keyDigest });
  }
}
