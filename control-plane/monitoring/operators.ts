/**
 * Who may read what callers have asked for: anybody reaches port 15014, since Prometheus and the kubelet do. An operator
 * proves that he may act for a service account of the mesh's own namespace, by a token that is good for nothing else; a
 * token, and not the API server's word, since its proxy tells nobody who asks.
 */
import type { IncomingMessage } from 'node:http';
import type { Clock } from '@weft/policies/kit/clock';
import { OPERATOR_HEADER } from '@weft/policies/kit/operator';
import { Secret } from '@weft/policies/kit/secret';
import type { TokenVerifier } from '../auth/caller.ts';
import { CachedTokenVerifier } from '../auth/token-cache.ts';

const LIMITS = { entriesMax: 64, ttlMs: 30_000, reviewsMax: 4 };
const TOKEN_CHARS_MAX = 16_384;
/** Of the machine or pod itself: a port that is forwarded, and runs without Kubernetes. */
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

export type OperatorCheck = (request: IncomingMessage) => Promise<boolean>;

const isLocal = ({ socket, headers }: IncomingMessage): boolean =>
  // What a proxy hands on is somebody else's.
  LOOPBACK.has(socket.remoteAddress ?? '') && headers['x-forwarded-for'] === undefined;

export const localOperators: OperatorCheck = async (request) => isLocal(request);

/** `tokens`: by the audience of operators. */
export function operatorsBy(tokens: TokenVerifier, namespace: string, clock: Clock): OperatorCheck {
  const verifier = new CachedTokenVerifier(tokens, clock, LIMITS);
  return async (request) => {
    if (isLocal(request)) return true;
    const token = request.headers[OPERATOR_HEADER];
    if (typeof token !== 'string' || token === '' || token.length > TOKEN_CHARS_MAX) return false;
    const proven = await verifier.verify(new Secret(token));
    return proven.ok && proven.value.namespace === namespace;
  };
}
