import type { HeaderValue } from '@weft/policies/model/route';
import type { RequestContext } from '../context.ts';
import type { LocalReply } from '../filter.ts';
import { NO_RETRY_FIELD } from '../no-retry.ts';
import type { ShedReason } from './class-queue.ts';

/** Tells a client's sidecar that to try again, here or elsewhere, would only add to the load. */
const NO_RETRY: HeaderValue = { name: NO_RETRY_FIELD, value: '1' };
const TOO_MANY_REQUESTS = 429;

const retryAfter: HeaderValue = { name: 'retry-after', value: '1' };
/** gRFC A6: a negative number forbids to retry. */
const pushback: HeaderValue = { name: 'grpc-retry-pushback-ms', value: '-1' };

const reasons: Readonly<Record<ShedReason, string>> = {
  full: 'no place is free and the queue is full',
  wait: 'no place became free in time',
  overload: 'the queue has stood for too long',
};

/** The hint is for sidecars: a client outside the mesh does not get it. */
export function refusal(context: RequestContext, reason: ShedReason, status: number): LocalReply {
  const set: HeaderValue[] = [retryAfter];
  if (context.connection.peer?.spiffeId !== undefined) set.push(NO_RETRY);
  if (context.grpc) set.push(pushback);
  return {
    kind: 'reply',
    // Of a call it becomes RESOURCE_EXHAUSTED, since clients repeat UNAVAILABLE.
    status: context.grpc ? TOO_MANY_REQUESTS : status,
    body: 'overloaded\n',
    headers: { set, add: [], remove: [] },
    flag: 'OM',
    detail: reasons[reason],
  };
}
