/** `weft.quota.v1.Quotas/Lease`. */
import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type LeaseRequest,
  type LeaseResponse,
  LeaseResponseSchema,
} from '@weft/policies/wire/gen/weft/quota/v1/quotas_pb';
import type { Authenticator, AuthFailure } from '../auth/caller.ts';
import { awaitWorkload } from '../auth/workload.ts';
import type { ClusterState } from '../index/state.ts';
import { LEASE_VALID_MS } from '../quota/allocator.ts';
import type { Quotas } from '../quota/quotas.ts';
import { authenticateCall } from './authenticate.ts';
import { rpcError } from './errors.ts';
import type { Refusals } from './refusals.ts';

export interface QuotaParts {
  readonly quotas: Quotas;
  readonly state: ClusterState;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly refusals: Refusals;
}

const USAGES_MAX = 64;

export function quotaHandlers(parts: QuotaParts) {
  return {
    Lease: (call: ServerUnaryCall<LeaseRequest, LeaseResponse>, callback: sendUnaryData<LeaseResponse>): void => {
      void lease(parts, call).then(
        (response) => {
          if (response.ok) callback(null, response.value);
          else {
            const { code, message } = response.error;
            parts.refusals.tell('quota refused', 'stranger', { peer: call.getPeer(), code, reason: message });
            callback(rpcError(response.error));
          }
        },
        () => callback(rpcError({ code: 'internal', message: 'leasing failed' })),
      );
    },
  };
}

async function lease(
  { quotas, state, authenticator, clock }: QuotaParts,
  call: ServerUnaryCall<LeaseRequest, LeaseResponse>,
): Promise<Result<LeaseResponse, AuthFailure>> {
  const caller = await authenticateCall(authenticator, call);
  if (!caller.ok) return caller;
  const { node, usages } = call.request;
  const pod = await awaitWorkload(state, clock, caller.value, node);
  if (!pod.ok) return pod;
  if (usages.length > USAGES_MAX) return err({ code: 'permission-denied', message: `more than ${USAGES_MAX} limits` });
  const leases = usages.flatMap(({ limit, demandPerSecond, leasedPerSecond }) => {
    if (!isRate(demandPerSecond) || !isRate(leasedPerSecond)) return [];
    const granted = quotas.lease(pod.value, { limit, demandPerSecond, leasedPerSecond });
    return granted === undefined ? [] : [{ limit, ...granted, validMs: LEASE_VALID_MS }];
  });
  return ok(create(LeaseResponseSchema, { leases }));
}

const isRate = (value: number): boolean => Number.isFinite(value) && value >= 0;
