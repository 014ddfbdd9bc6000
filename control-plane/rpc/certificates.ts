/** `weft.ca.v1.Certificates/Sign`. */
import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { joinRecordName } from '@weft/policies/identity/join-token';
import { formatSpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type SignRequest,
  type SignResponse,
  SignResponseSchema,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';
import type { Standing } from '../auth/workload.ts';
import type { SignFailure } from '../ca/authority.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { Joins } from '../join/joins.ts';
import type { HeldRecord } from '../join/records.ts';
import { type AuthenticatedCall, authenticateCall, joinTokenOf } from './authenticate.ts';
import { rpcError } from './errors.ts';

export interface CertificatesParts {
  readonly authority: CertificateAuthority;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  /** From the Mesh, read anew for each certificate. */
  readonly ttlMs: () => number;
  /** The pod that a token is bound to must be there and be the same one; a certificate must be of a process that joined. */
  readonly checkCaller: (caller: Caller) => Promise<Result<Standing, AuthFailure>>;
  /** Undefined where nobody can join by token. */
  readonly joins: Joins | undefined;
  readonly trustDomain: TrustDomain;
  readonly audit: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  readonly counters: CertificateCounters;
}

export interface CertificateCounters {
  signed: number;
  refused: number;
}

export function certificatesHandlers(parts: CertificatesParts) {
  return {
    Sign: (call: ServerUnaryCall<SignRequest, SignResponse>, callback: sendUnaryData<SignResponse>): void => {
      void sign(parts, call).then(
        (response) => {
          if (response.ok) callback(null, response.value);
          else {
            parts.counters.refused += 1;
            parts.audit('certificate refused', {
              peer: call.getPeer(),
              code: response.error.code,
              reason: response.error.message,
            });
            callback(rpcError(response.error));
          }
        },
        (fault: unknown) =>
          callback(rpcError({ code: 'internal', message: fault instanceof Error ? fault.message : 'signing failed' })),
      );
    },
  };
}

async function sign(
  parts: CertificatesParts,
  call: ServerUnaryCall<SignRequest, SignResponse>,
): Promise<Result<SignResponse, AuthFailure | SignFailure>> {
  const proven = await proveCaller(parts, call);
  if (!proven.ok) return proven;
  const { caller, standing } = proven.value;
  const ttlMsMax = parts.ttlMs();
  const wishMs = call.request.ttlSeconds * 1_000;
  const ttlMs = wishMs === 0 ? ttlMsMax : Math.min(wishMs, ttlMsMax);
  const leaf = await parts.authority.signWorkload(call.request.csr, caller.spiffeId, ttlMs);
  if (!leaf.ok) return err(leaf.error);
  const { serialHex, notAfterMs, chain } = leaf.value;
  const settled = await settleJoin(parts, standing, call.request.csr, notAfterMs);
  if (!settled.ok) return settled;
  parts.counters.signed += 1;
  parts.audit('certificate signed', {
    spiffeId: caller.spiffeId,
    pod: caller.pod?.name ?? '',
    podUid: caller.pod?.uid ?? '',
    via: caller.via,
    ...(standing.as === 'pod' ? {} : { join: joinRecordName(standing.held.record.digest) }),
    serial: serialHex,
    notAfter: new Date(notAfterMs).toISOString(),
    peer: call.getPeer(),
  });
  const response = create(SignResponseSchema, {
    certificateChain: chain.map((der) => Uint8Array.from(der)),
    trustAnchors: parts.authority.anchors().map((der) => Uint8Array.from(der)),
    nowUnixMs: BigInt(parts.clock.unixMs()),
  });
  return { ok: true, value: response };
}

interface Proven {
  readonly caller: Caller;
  readonly standing: Standing | { readonly as: 'joining'; readonly held: HeldRecord };
}

/** By join token, which counts for nothing but this RPC, or by what every RPC takes. */
async function proveCaller(parts: CertificatesParts, call: AuthenticatedCall): Promise<Result<Proven, AuthFailure>> {
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

/** Only when there is a certificate is a token used up: a request that cannot be signed costs none. */
async function settleJoin(
  parts: CertificatesParts,
  standing: Proven['standing'],
  csrDer: Uint8Array,
  notAfterMs: number,
): Promise<Result<void, AuthFailure | SignFailure>> {
  if (standing.as === 'pod' || parts.joins === undefined) return ok(undefined);
  if (standing.as === 'joined') return parts.joins.renewed(standing.held, notAfterMs);
  const csr = parseCsr(csrDer);
  if (!csr.ok) return err({ code: 'invalid-argument', message: csr.error });
  return parts.joins.claim(standing.held, csr.value.publicKey, notAfterMs);
}
