import type { Brand } from '../kit/brand.ts';
import { err, ok, type Result } from '../kit/result.ts';

/** `spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`, canonical. */
export type SpiffeId = Brand<string, 'SpiffeId'>;
export type TrustDomain = Brand<string, 'TrustDomain'>;

/** The identity of a workload: its service account in its namespace, in a trust domain. */
export interface ServiceIdentity {
  readonly trustDomain: TrustDomain;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** SPIFFE-ID section 2.1: letters, digits, dots, dashes and underscores, lower case. */
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
/** SPIFFE-ID section 2.2: path segments; dot segments are refused below. */
const SEGMENT = /^[A-Za-z0-9._-]+$/;
/** SPIFFE-ID section 2.3. */
const SPIFFE_ID_BYTES_MAX = 2048;

export function parseTrustDomain(text: string): Result<TrustDomain, string> {
  if (!TRUST_DOMAIN.test(text)) return err(`trust domain "${text}" is not 1-255 of a-z, 0-9, ".", "-", "_"`);
  return ok(text as TrustDomain);
}

export function formatSpiffeId(identity: ServiceIdentity): SpiffeId {
  return `spiffe://${identity.trustDomain}/ns/${identity.namespace}/sa/${identity.serviceAccount}` as SpiffeId;
}

/** Any valid SPIFFE ID, whatever the shape of its path. */
export function parseSpiffeId(text: string): Result<SpiffeId, string> {
  if (text.length > SPIFFE_ID_BYTES_MAX) return err(`SPIFFE ID is longer than ${SPIFFE_ID_BYTES_MAX} bytes`);
  if (!text.startsWith('spiffe://')) return err(`"${text}" does not begin with spiffe://`);
  const rest = text.slice('spiffe://'.length);
  const slash = rest.indexOf('/');
  const domain = parseTrustDomain(slash === -1 ? rest : rest.slice(0, slash));
  if (!domain.ok) return domain;
  if (slash !== -1) {
    for (const segment of rest.slice(slash + 1).split('/')) {
      if (!SEGMENT.test(segment) || segment === '.' || segment === '..') {
        return err(`"${text}" has the path segment "${segment}", which is not allowed`);
      }
    }
  }
  return ok(text as SpiffeId);
}

/** The service account that a SPIFFE ID of this mesh stands for. */
export function parseServiceIdentity(text: string): Result<ServiceIdentity, string> {
  const id = parseSpiffeId(text);
  if (!id.ok) return id;
  const match = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/([^/]+)$/.exec(id.value);
  const [, trustDomain, namespace, serviceAccount] = match ?? [];
  if (trustDomain === undefined || namespace === undefined || serviceAccount === undefined) {
    return err(`"${text}" is not of the form spiffe://<trust-domain>/ns/<namespace>/sa/<service-account>`);
  }
  return ok({ trustDomain: trustDomain as TrustDomain, namespace, serviceAccount });
}
