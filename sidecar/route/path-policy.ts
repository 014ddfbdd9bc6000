import type { HttpEdge } from '@weft/policies/model/edge';
import { canonicalTarget, pathLength } from './path.ts';

/** A path that is not one, or that may not come in this form. */
type TargetDecision =
  | { readonly kind: 'path'; readonly target: string }
  | { readonly kind: 'redirect'; readonly location: string }
  | { readonly kind: 'malformed' | 'escaped-slash' };

/** What an edge wants of paths beyond their canonical form; undefined: nothing. */
export type PathPolicy = Pick<HttpEdge, 'mergeSlashes' | 'escapedSlashes'>;

export const pathPolicyOf = ({ mergeSlashes, escapedSlashes }: PathPolicy): PathPolicy | undefined =>
  mergeSlashes || escapedSlashes !== 'keep' ? { mergeSlashes, escapedSlashes } : undefined;

const ESCAPED = /%2F|%5C/i;
const SLASHES = /\/{2,}/g;

/** In Envoy's order: encoded slashes, the canonical form, slashes that follow slashes. */
export function decideTarget(target: string, { escapedSlashes, mergeSlashes }: PathPolicy): TargetDecision {
  const end = pathLength(target);
  const path = target.slice(0, end);
  const escaped = escapedSlashes !== 'keep' && ESCAPED.test(path);
  if (escaped && escapedSlashes === 'reject') return { kind: 'escaped-slash' };
  const plain = escaped ? path.replaceAll(/%2F/gi, '/').replaceAll(/%5C/gi, '\\') : path;
  const canonical = canonicalTarget(plain);
  if (canonical === undefined) return { kind: 'malformed' };
  const merged = (mergeSlashes ? canonical.replaceAll(SLASHES, '/') : canonical) + target.slice(end);
  return escaped && escapedSlashes === 'redirect'
    ? { kind: 'redirect', location: merged }
    : { kind: 'path', target: merged };
}
