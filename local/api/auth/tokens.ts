import { createHash, createPublicKey, type KeyObject, randomUUID, sign, verify } from 'node:crypto';
import { asNumber, asObject, asString, asStrings, at, isObject, type JsonObject, parseJson } from '../json.ts';
import { uidOf } from '../object.ts';
import type { Store } from '../store/store.ts';
import { serviceAccountUser, type User } from './user.ts';

/** ServiceAccount tokens: ES256 JWTs (RFC 7518 section 3.4) bound to a service account and, if asked, to a pod. */
interface TokenIssuerOptions {
  readonly key: KeyObject;
  readonly issuer: string;
  readonly apiAudiences: readonly string[];
  readonly store: Store;
  readonly now: () => number;
}

export interface TokenRequest {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly serviceAccountUid: string;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  readonly pod?: { readonly name: string; readonly uid: string; readonly node: string };
}

interface VerifiedToken {
  readonly user: User;
  readonly audiences: readonly string[];
}

type TokenRefusal = { readonly refused: string };

const base64url = (value: JsonObject | Buffer): string =>
  (Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))).toString('base64url');

function decodePart(part: string | undefined): JsonObject | undefined {
  try {
    const value = parseJson(Buffer.from(part ?? '', 'base64url').toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export class TokenIssuer {
  readonly #options: TokenIssuerOptions;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;

  constructor(options: TokenIssuerOptions) {
    this.#options = options;
    this.#publicKey = createPublicKey(options.key);
    const der = this.#publicKey.export({ type: 'spki', format: 'der' });
    this.#keyId = createHash('sha256').update(der).digest('base64url');
  }

  get issuer(): string {
    return this.#options.issuer;
  }

  get apiAudiences(): readonly string[] {
    return this.#options.apiAudiences;
  }

  issue(request: TokenRequest): { readonly token: string; readonly expiresMs: number } {
    const nowSeconds = Math.floor(this.#options.now() / 1000);
    const expires = nowSeconds + request.expirationSeconds;
    const bound: JsonObject = {
      namespace: request.namespace,
      serviceaccount: { name: request.serviceAccount, uid: request.serviceAccountUid },
    };
    if (request.pod !== undefined) {
      bound['pod'] = { name: request.pod.name, uid: request.pod.uid };
      if (request.pod.node !== '') bound['node'] = { name: request.pod.node };
    }
    const claims: JsonObject = {
      aud: [...(request.audiences.length > 0 ? request.audiences : this.#options.apiAudiences)],
      exp: expires,
      iat: nowSeconds,
      nbf: nowSeconds,
      iss: this.#options.issuer,
      jti: randomUUID(),
      'kubernetes.io': bound,
      sub: serviceAccountUser(request.namespace, request.serviceAccount),
    };
    const signed = `${base64url({ alg: 'ES256', kid: this.#keyId })}.${base64url(claims)}`;
    const signature = sign('sha256', Buffer.from(signed), { key: this.#options.key, dsaEncoding: 'ieee-p1363' });
    return { token: `${signed}.${base64url(signature)}`, expiresMs: expires * 1000 };
  }

  /** `wanted` are the audiences that the asker is; at least one must be in the token. */
  verify(token: string, wanted: readonly string[]): VerifiedToken | TokenRefusal {
    const parts = token.split('.');
    const header = decodePart(parts[0]);
    const claims = decodePart(parts[1]);
    if (parts.length !== 3 || header === undefined || claims === undefined) return { refused: 'token is malformed' };
    if (header['alg'] !== 'ES256' || header['kid'] !== this.#keyId)
      return { refused: 'token is signed by an unknown key' };
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' as const };
    const signature = Buffer.from(parts[2] ?? '', 'base64url');
    if (!verify('sha256', Buffer.from(`${parts[0]}.${parts[1]}`), key, signature))
      return { refused: 'signature is invalid' };
    if (claims['iss'] !== this.#options.issuer) return { refused: 'token has another issuer' };
    const nowSeconds = this.#options.now() / 1000;
    // "Not before" is not looked at: issuer and verifier are one clock, so a token of the future only means that it was set back.
    if ((asNumber(claims['exp']) ?? 0) <= nowSeconds) return { refused: 'token has expired' };
    const audiences = asStrings(claims['aud']).filter((audience) => wanted.includes(audience));
    if (audiences.length === 0)
      return {
        refused: `token audiences ${JSON.stringify(claims['aud'])} is invalid for the target audiences ${JSON.stringify(wanted)}`,
      };
    const user = this.#boundUser(claims);
    return 'refused' in user ? user : { user, audiences };
  }

  /** The objects that a token is bound to must still be the same ones. */
  #boundUser(claims: JsonObject): User | TokenRefusal {
    const bound = asObject(claims['kubernetes.io']) ?? {};
    const namespace = asString(bound['namespace']);
    const account = asString(at(bound, 'serviceaccount', 'name'));
    const uid = asString(at(bound, 'serviceaccount', 'uid'));
    const stored = this.#options.store.get('/serviceaccounts', namespace, account);
    if (stored === undefined || uidOf(stored.object) !== uid) return { refused: 'service account has been deleted' };
    const extra: Record<string, string[]> = {
      'authentication.kubernetes.io/credential-id': [`JTI=${asString(claims['jti'])}`],
    };
    const podName = asString(at(bound, 'pod', 'name'));
    if (podName !== '') {
      const podUid = asString(at(bound, 'pod', 'uid'));
      const pod = this.#options.store.get('/pods', namespace, podName);
      if (pod === undefined || uidOf(pod.object) !== podUid) return { refused: 'pod has been deleted' };
      extra['authentication.kubernetes.io/pod-name'] = [podName];
      extra['authentication.kubernetes.io/pod-uid'] = [podUid];
      const node = asString(at(pod.object, 'spec', 'nodeName'));
      if (node !== '') extra['authentication.kubernetes.io/node-name'] = [node];
    }
    return {
      name: serviceAccountUser(namespace, account),
      uid,
      groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
      extra,
    };
  }

  jwks(): JsonObject {
    const jwk = this.#publicKey.export({ format: 'jwk' });
    return {
      keys: [{ use: 'sig', kty: 'EC', kid: this.#keyId, alg: 'ES256', crv: 'P-256', x: jwk.x ?? '', y: jwk.y ?? '' }],
    };
  }

  openIdConfiguration(): JsonObject {
    return {
      issuer: this.#options.issuer,
      jwks_uri: `${this.#options.issuer}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    };
  }
}
