import { defaultRetry, type RetryCondition, type RetryPolicy } from '@weft/policies/model/retry';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import { codeOfError, GrpcCode, grpcStatusOf } from '../../http/grpc-status.ts';
import { compiledRetry } from './compiled.ts';

/** Why an attempt is repeated, as it is counted. */
export type RetryReason = 'status' | 'grpc-status' | 'header' | 'connect-failure' | 'refused' | 'reset' | 'timeout';

/** RFC 9110 section 9.2.2. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

/** What is repeated without being asked: only what never reached an application. */
export const defaultRetryPolicy: RetryPolicy = { ...defaultRetry, on: ['connect-failure', 'refused-stream'] };

/** The gRPC status that a condition names; -1: it names none. */
function codeOfCondition(condition: RetryCondition): number {
  switch (condition) {
    case 'cancelled':
      return GrpcCode.cancelled;
    case 'deadline-exceeded':
      return GrpcCode.deadlineExceeded;
    case 'internal':
      return GrpcCode.internal;
    case 'resource-exhausted':
      return GrpcCode.resourceExhausted;
    case 'unavailable':
      return GrpcCode.unavailable;
    default:
      return -1;
  }
}

function statusMatches(condition: RetryCondition, status: number, codes: readonly number[]): boolean {
  switch (condition) {
    case '5xx':
      return status >= 500;
    case 'gateway-error':
      return status === 502 || status === 503 || status === 504;
    case 'retriable-4xx':
      return status === 409;
    case 'retriable-status-codes':
      return codes.includes(status);
    case 'connect-failure':
    case 'reset':
    case 'refused-stream':
    case 'retriable-headers':
    case 'cancelled':
    case 'deadline-exceeded':
    case 'internal':
    case 'resource-exhausted':
    case 'unavailable':
      return false;
  }
}

function errorMatches(condition: RetryCondition, error: ProxyError): boolean {
  switch (condition) {
    case '5xx':
    case 'gateway-error':
    case 'reset':
      return true;
    case 'connect-failure':
      return error.flag === 'UF';
    case 'refused-stream':
      return error.retry === 'yes';
    case 'retriable-4xx':
    case 'retriable-status-codes':
    case 'retriable-headers':
    case 'cancelled':
    case 'deadline-exceeded':
    case 'internal':
    case 'resource-exhausted':
    case 'unavailable':
      return false;
  }
}

/**
 * Whether the policy names that status of gRPC. Every call is a POST: who names a status for calls asks for what is not
 * idempotent, as in the retry policy of a gRPC service config (gRFC A6).
 */
function wantsRetryOfCode(policy: RetryPolicy, code: number): boolean {
  if (code <= GrpcCode.ok) return false;
  for (const condition of policy.on) if (codeOfCondition(condition) === code) return true;
  return false;
}

/** Whether a request may have its effect twice: it has none the second time, or somebody said so. */
export function isRepeatable(policy: RetryPolicy, head: RequestHead): boolean {
  if (policy.nonIdempotent || isIdempotent(head.method)) return true;
  // draft-ietf-httpapi-idempotency-key-header: a server knows by it what it has carried out.
  return policy.idempotencyKey === true && head.headers.has('idempotency-key');
}

/** Where a policy is for certain requests only, whether this is one of them. */
export function isMeant(policy: RetryPolicy, head: RequestHead): boolean {
  if (policy.requestHeaders === undefined) return true;
  for (const matcher of compiledRetry(policy).request) if (matcher.test(head)) return true;
  return false;
}

/** Why the policy wants the request of a response repeated; undefined: it does not. */
export function reasonOfResponse(
  policy: RetryPolicy,
  request: RequestHead,
  head: ResponseHead,
  grpc: boolean,
): RetryReason | undefined {
  if (head.status < 400 && !grpc && policy.statusCodes.length === 0 && policy.responseHeaders === undefined) {
    return undefined;
  }
  if (isRepeatable(policy, request)) {
    for (const condition of policy.on) if (statusMatches(condition, head.status, policy.statusCodes)) return 'status';
    if (policy.responseHeaders !== undefined) {
      for (const matcher of compiledRetry(policy).response) if (matcher.testFields(head.headers)) return 'header';
    }
  }
  // In a head it is all of the response (gRPC over HTTP/2, Trailers-Only).
  return grpc && wantsRetryOfCode(policy, grpcStatusOf(head.headers)) ? 'grpc-status' : undefined;
}

/** Why the policy wants an attempt repeated that ended without a response; undefined: it does not. */
export function reasonOfError(
  policy: RetryPolicy,
  request: RequestHead,
  error: ProxyError,
  grpc: boolean,
): RetryReason | undefined {
  if (error.retry === 'no') return undefined;
  // What the client would be told counts, whether it came from the server or is ours.
  if (grpc && wantsRetryOfCode(policy, codeOfError(error))) return 'grpc-status';
  if (error.retry !== 'yes' && !isRepeatable(policy, request)) return undefined;
  for (const condition of policy.on) {
    if (!errorMatches(condition, error)) continue;
    if (error.flag === 'UF') return 'connect-failure';
    if (error.flag === 'UT') return 'timeout';
    return error.retry === 'yes' ? 'refused' : 'reset';
  }
  return undefined;
}
