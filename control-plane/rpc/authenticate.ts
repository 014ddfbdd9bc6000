import type { Metadata } from '@grpc/grpc-js';
import { err, type Result } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
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

/** `authorization: Join <token>`; undefined when the call brings another credential. */
export function joinTokenOf({ metadata }: AuthenticatedCall): Secret<string> | undefined {
  const [authorization, second] = metadata.get('authorization');
  if (typeof authorization !== 'string' || second !== undefined) return undefined;
  const [, token] = /^Join ([\x21-\x7e]{1,256})$/i.exec(authorization) ?? [];
  return token === undefined ? undefined : new Secret(token);
}
