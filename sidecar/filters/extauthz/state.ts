import type { AuthorizerCheck } from './check.ts';
import type { ResponseChange } from './judgement.ts';

/** What is known of a request that authorizers outside of the proxy have a say in. */
export interface ExternalAuthorization {
  /** Under way. */
  check: AuthorizerCheck | undefined;
  /** What authorizers add to the response. */
  readonly responseChanges: ResponseChange[];
}

export const newExternalAuthorization = (): ExternalAuthorization => ({
  check: undefined,
  responseChanges: [],
});
