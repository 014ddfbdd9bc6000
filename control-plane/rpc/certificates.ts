/** `weft.ca.v1.Certificates/Sign`. */
import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@weft/policies/kit/clock';
import { err, type Result } from '@weft/policies/kit/result';
import {
  type SignRequest,
  type SignResponse,
  SignResponseSchema,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';
import type { SignFailure } from '../ca/authority.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { Pod } from '../index/core.ts';
import { authenticateCall } from './authenticate.ts';
import { rpcError } from './errors.ts';

export interface CertificatesParts {
  readonly authority: CertificateAuthority;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  /** From the Mesh, read anew for each certificate. */
  readonly ttlMs: () => number;
  /** The pod that a token is bound to must be there and be the same one. */
  readonly checkPod: (caller: Caller) => Promise<Result<Pod | undefined, AuthFailure>>;
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
  const caller = await authenticateCall(parts.authenticator, call);
  if (!caller.ok) return caller;
  const pod = await parts.checkPod(caller.value);
  if (!pod.ok) return pod;
  const ttlMsMax = parts.ttlMs();
  const wishMs = call.request.ttlSeconds * 1_000;
  const ttlMs = wishMs === 0 ? ttlMsMax : Math.min(wishMs, ttlMsMax);
  const leaf = await parts.authority.signWorkload(call.request.csr, caller.value.spiffeId, ttlMs);
  if (!leaf.ok) return err(leaf.error);
  const { serialHex, notAfterMs, chain } = leaf.value;
  parts.counters.signed += 1;
  parts.audit('certificate signed', {
    spiffeId: caller.value.spiffeId,
    pod: caller.value.pod?.name ?? '',
    podUid: caller.value.pod?.uid ?? '',
    via: caller.value.via,
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
