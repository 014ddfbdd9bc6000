import type { ProxyError } from '../http/errors.ts';
import { canonicalTarget } from '../route/path.ts';
import { decideTarget, type PathPolicy } from '../route/path-policy.ts';
import type { RequestContext } from './context.ts';
import { escapedSlash, malformedPath } from './errors.ts';

/** Settles the path that everybody sees from here on; otherwise why there is none, or where it is instead. */
export function settlePath(
  context: RequestContext,
  policy: PathPolicy | undefined,
): ProxyError | { readonly location: string } | undefined {
  const { head } = context;
  let path: string | undefined;
  if (policy === undefined) path = canonicalTarget(head.path);
  else {
    const decision = decideTarget(head.path, policy);
    if (decision.kind === 'redirect') return decision;
    if (decision.kind === 'escaped-slash') return escapedSlash;
    if (decision.kind === 'path') path = decision.target;
  }
  if (path === undefined) return malformedPath;
  head.path = path;
  context.path = path;
  return undefined;
}
