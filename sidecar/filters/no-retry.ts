/** `weft-no-retry`, by which a sidecar that sheds load asks the sidecar of its client not to try again. */
import type { UpstreamSecurity } from '../net/connection.ts';
import type { RequestContext } from './context.ts';

export const NO_RETRY_FIELD = 'weft-no-retry';

type Fields = Pick<RequestContext['head']['headers'], 'remove'>;

/** Only sidecars may say it: a server outside of the mesh, or the application behind this sidecar, does not. */
export function believeNoRetry(headers: Fields, security: UpstreamSecurity): void {
  if (security.kind !== 'mesh') headers.remove(NO_RETRY_FIELD);
}

/** It is for sidecars: the application before this one, and clients outside of the mesh, do not see it. */
export function hideNoRetry(headers: Fields, security: UpstreamSecurity, { connection }: RequestContext): void {
  // Of others it is gone already.
  if (security.kind === 'mesh' && connection.peer?.spiffeId === undefined) headers.remove(NO_RETRY_FIELD);
}
