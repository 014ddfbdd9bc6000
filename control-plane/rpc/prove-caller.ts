/** Whom a call of the certificate authority speaks for, and whether he is still there. */
import type { CertificateFacts } from '@weft/policies/identity/revocations';
import { formatSpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';
import type { Standing } from '../auth/workload.ts';
import type { Joins } from '../join/joins.ts';
import type { HeldRecord } from '../join/records.ts';
import { type AuthenticatedCall, authenticateCall, joinTokenOf } from './authenticate.ts';

export interface ProofParts {
  readonly authenticator: Authenticator;
  /** The pod that a token is bound to must be there and be the same one; a certificate must be of a process that joined. */
  readonly checkCaller: (caller: Caller) => Promise<Result<Standing, AuthFailure>>;
  /** Undefined where nobody can join by token. */
  readonly joins: Joins | undefined;
  readonly trustDomain: TrustDomain;
  /** Why an identity gets nothing signed any more. */
  readonly revoked: (wanted: CertificateFacts) => string | undefined;
  readonly clock: Clock;
}

export interface Proven {
  readonly caller: Caller;
  readonly standing: Standing | { readonly as: 'joining'; readonly held: HeldRecord };
}

/** By what every RPC takes, and by join token, which counts for nothing but this service. */
export async function proveCaller(parts: ProofParts, call: AuthenticatedCall): Promise<Result<Proven, AuthFailure>> {
  const proven = await prove(parts, call);
  if (!proven.ok) return proven;
  // What is not signed yet has no serial number, and begins now.
  const { spiffeId } = proven.value.caller;
  const revoked = parts.revoked({ spiffeId, serialHex: '', notBeforeUnixMs: parts.clock.unixMs() });
  return revoked === undefined ? proven : err({ code: 'permission-denied', message: revoked });
}

async function prove(parts: ProofParts, call: AuthenticatedCall): Promise<Result<Proven, AuthFailure>> {
  const token = joinTokenOf(call);
  if (token === undefined) {
    const caller = await authenticateCall(parts.authenticator, call);
    if (!caller.ok) return caller;
    const standing = await parts.checkCaller(caller.value);
    return standing.ok ? ok({ caller: caller.value, standing: standing.value }) : standing;
  }
  if (parts.joins === undefined)
    return err({ code: 'permission-denied', message: 'this control plane takes no join tokens' });
  const held = await parts.joins.open(token);
  if (!held.ok) return held;
  const { namespace, serviceAccount } = held.value.record;
  const identity = { trustDomain: parts.trustDomain, namespace, serviceAccount };
  const caller: Caller = { spiffeId: formatSpiffeId(identity), identity, pod: undefined, via: 'join-token' };
  return ok({ caller, standing: { as: 'joining', held: held.value } });
}
