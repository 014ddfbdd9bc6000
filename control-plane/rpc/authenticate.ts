import type { Metadata } from '@grpc/grpc-js';
import { err, type Result } from '@weft/policies/kit/result';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';

/** What authentication needs of a call of either shape. */
export interface AuthenticatedCall {
  readonly metadata: Metadata;
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

export async function authenticateCall(
  authenticator: Authenticator,
  call: AuthenticatedCall,
): Promise<Result<Caller, AuthFailure>> {
  const [authorization, second] = call.metadata.get('authorization');
  if (second !== undefined)
    return err({ code: 'unauthenticated', message: 'more than one authorization entry in the metadata' });
  return authenticator.authenticate({
    authorization: authorization === undefined ? undefined : String(authorization),
    certificate: call.getAuthContext().sslPeerCertificate?.raw,
  });
}
