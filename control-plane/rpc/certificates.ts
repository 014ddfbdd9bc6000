/** `weft.ca.v1.Certificates`: workload certificates and JWT-SVIDs. */
import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import { joinRecordName } from '@weft/policies/identity/join-token';
import { parseCsr } from '@weft/policies/identity/x509/csr';
import type { Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type IdentifyRequest,
  type IdentifyResponse,
  IdentifyResponseSchema,
  type JwtBundleRequest,
  type JwtBundleResponse,
  type SignJwtRequest,
  type SignJwtResponse,
  type SignRequest,
  type SignResponse,
  SignResponseSchema,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';

import type { AuthFailure, Caller } from '../auth/caller.ts';
import { callerFields, holderOf, leafFields } from '../ca/audit.ts';

import type { SignFailure } from '../ca/authority.ts';
import type { CertificateAuthority } from '../ca/certificate-authority.ts';
import type { AuthenticatedCall } from './authenticate.ts';
import { rpcError } from './errors.ts';
import { type JwtParts, jwtBundle, signJwt } from './jwt.ts';
import { type Proven, proveCaller } from './prove-caller.ts';
import type { Refusals } from './refusals.ts';

export interface CertificatesParts extends JwtParts {
  readonly authority: CertificateAuthority;
  readonly clock: Clock;
  /** From the Mesh, read anew for each certificate. */
  readonly ttlMs: () => number;
  readonly counters: CertificateCounters;
  readonly refusals: Refusals;
}

export interface CertificateCounters {
  signed: number;
  refused: number;
  jwtsSigned: number;
  jwtsRefused: number;
}

type Answer<Response> = Promise<Result<Response, AuthFailure | SignFailure>>;

export function certificatesHandlers(parts: CertificatesParts) {
  const { counters } = parts;
  const handle =
    <Request, Response>(
      answer: (call: ServerUnaryCall<Request, Response>, asked: Asked) => Answer<Response>,
      signed: keyof CertificateCounters | undefined,
      refused: { readonly event: string; readonly counter?: keyof CertificateCounters },
    ) =>
    (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
      const asked: Asked = { caller: undefined };
      const refuse = (
        error: AuthFailure | SignFailure | { readonly code: 'internal'; readonly message: string },
      ): void => {
        const { code, message } = error;
        if (refused.counter !== undefined) counters[refused.counter] += 1;
        parts.refusals.tell(refused.event, asked.caller === undefined ? 'stranger' : 'caller', {
          ...callerFields(asked.caller),
          peer: call.getPeer(),
          code,
          reason: message,
        });
        callback(rpcError(error));
      };
      void answer(call, asked).then(
        (response) => {
          if (!response.ok) {
            refuse(response.error);
            return;
          }
          if (signed !== undefined) counters[signed] += 1;
          callback(null, response.value);
        },
        (fault: unknown) => refuse({ code: 'internal', message: errorText(fault) }),
      );
    };
  const certificateRefused = { event: 'certificate refused', counter: 'refused' } as const;
  const jwtRefused = { event: 'JWT refused', counter: 'jwtsRefused' } as const;
  return {
    Sign: handle<SignRequest, SignResponse>((call, asked) => sign(parts, call, asked), 'signed', certificateRefused),
    Identify: handle<IdentifyRequest, IdentifyResponse>((call) => identify(parts, call), undefined, certificateRefused),
    SignJwt: handle<SignJwtRequest, SignJwtResponse>(
      (call) => signJwt(parts, call, call.request),
      'jwtsSigned',
      jwtRefused,
    ),
    JwtBundle: handle<JwtBundleRequest, JwtBundleResponse>((call) => jwtBundle(parts, call, call.request), undefined, {
      event: 'bundle refused',
    }),
  };
}

/** For a process that has a join token and does not know what to ask for with it. */
async function identify(parts: CertificatesParts, call: AuthenticatedCall): Answer<IdentifyResponse> {
  const proven = await proveCaller(parts, call);
  return proven.ok ? ok(create(IdentifyResponseSchema, { spiffeId: proven.value.caller.spiffeId })) : proven;
}

/** Who it turned out to be, for the audit of a refusal. */
interface Asked {
  caller: Caller | undefined;
}

async function sign(
  parts: CertificatesParts,
  call: ServerUnaryCall<SignRequest, SignResponse>,
  asked: Asked,
): Promise<Result<SignResponse, AuthFailure | SignFailure>> {
  const proven = await proveCaller(parts, call);
  if (!proven.ok) return proven;
  const { caller, standing } = proven.value;
  asked.caller = caller;
  const admitted = parts.limits.admits('certificates', caller);
  if (!admitted.ok) return admitted;
  const ttlMsMax = parts.ttlMs();
  const wishMs = call.request.ttlSeconds * 1_000;
  const ttlMs = wishMs === 0 ? ttlMsMax : Math.min(wishMs, ttlMsMax);
  const leaf = await parts.authority.signWorkload(call.request.csr, caller.spiffeId, ttlMs, holderOf(caller));
  if (!leaf.ok) return err(leaf.error);
  const { notAfterMs, chain } = leaf.value;
  const settled = await settleJoin(parts, standing, call.request.csr, notAfterMs);
  if (!settled.ok) return settled;
  parts.audit('certificate signed', {
    ...callerFields(caller),
    ...(standing.as === 'pod' ? {} : { join: joinRecordName(standing.held.record.digest) }),
    ...leafFields(leaf.value),
    peer: call.getPeer(),
  });
  const response = create(SignResponseSchema, {
    certificateChain: chain.map((der) => Uint8Array.from(der)),
    trustAnchors: parts.authority.anchors().map((der) => Uint8Array.from(der)),
    nowUnixMs: BigInt(parts.clock.unixMs()),
  });
  return { ok: true, value: response };
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
