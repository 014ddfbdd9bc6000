/** `weft.authorization.v1.Decisions/Report`. */
import { create } from '@bufbuild/protobuf';
import type { ServerUnaryCall, sendUnaryData } from '@grpc/grpc-js';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import {
  type ReportRequest,
  type ReportResponse,
  ReportResponseSchema,
} from '@weft/policies/wire/gen/weft/authorization/v1/decisions_pb';
import type { Authenticator, AuthFailure } from '../auth/caller.ts';
import { awaitWorkload } from '../auth/workload.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { ClusterState } from '../index/state.ts';
import { authenticateCall } from './authenticate.ts';
import { rpcError } from './errors.ts';
import type { Refusals } from './refusals.ts';

export interface DecisionParts {
  readonly decisions: Decisions;
  readonly state: ClusterState;
  readonly authenticator: Authenticator;
  readonly clock: Clock;
  readonly refusals: Refusals;
}

const HITS_MAX = 16_384;
const FLOWS_MAX = 1_000;

export function decisionHandlers(parts: DecisionParts) {
  return {
    Report: (call: ServerUnaryCall<ReportRequest, ReportResponse>, callback: sendUnaryData<ReportResponse>): void => {
      void report(parts, call).then(
        (response) => {
          if (response.ok) callback(null, response.value);
          else {
            const { code, message } = response.error;
            parts.refusals.tell('report refused', 'stranger', { peer: call.getPeer(), code, reason: message });
            callback(rpcError(response.error));
          }
        },
        () => callback(rpcError({ code: 'internal', message: 'the report was not taken' })),
      );
    },
  };
}

async function report(
  { decisions, state, authenticator, clock }: DecisionParts,
  call: ServerUnaryCall<ReportRequest, ReportResponse>,
): Promise<Result<ReportResponse, AuthFailure>> {
  const caller = await authenticateCall(authenticator, call);
  if (!caller.ok) return caller;
  const { node, hits, flows, lost, history } = call.request;
  const pod = await awaitWorkload(state, clock, caller.value, node);
  if (!pod.ok) return pod;
  if (hits.length > HITS_MAX || flows.length + history.length > FLOWS_MAX) {
    return err({ code: 'permission-denied', message: `more than ${HITS_MAX} rules or ${FLOWS_MAX} flows` });
  }
  decisions.take(pod.value, {
    hits: hits.map((one) => ({ rule: one.rule, hits: Number(one.hits) })),
    flows: flows.map((one) => ({ ...one, count: Number(one.count) })),
    lost: Number(lost),
    history: history.flatMap(({ flow, hour, heldBy }) =>
      flow === undefined ? [] : [{ flow: { ...flow, count: Number(flow.count) }, hour: Number(hour), heldBy }],
    ),
  });
  return ok(create(ReportResponseSchema, { instance: decisions.instance }));
}
