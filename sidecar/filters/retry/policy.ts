import type { RetryCondition, RetryPolicy } from '@weft/policies/model/route';
import type { ProxyError } from '../../http/errors.ts';
import { codeOfError, GrpcCode } from '../../http/grpc-status.ts';

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
export const defaultRetryPolicy: RetryPolicy = {
  on: ['connect-failure', 'refused-stream'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  nonIdempotent: false,
};

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
export function wantsRetryOfCode(policy: RetryPolicy, code: number): boolean {
  if (code <= GrpcCode.ok) return false;
  for (const condition of policy.on) if (codeOfCondition(condition) === code) return true;
  return false;
}

/** Whether the policy wants a response with that status repeated. */
export function wantsRetryOfStatus(policy: RetryPolicy, method: string, status: number): boolean {
  if (!policy.nonIdempotent && !isIdempotent(method)) return false;
  for (const condition of policy.on) if (statusMatches(condition, status, policy.statusCodes)) return true;
  return false;
}

/** Whether the policy wants an attempt repeated that ended without a response. */
export function wantsRetryOfError(policy: RetryPolicy, method: string, error: ProxyError, grpc: boolean): boolean {
  if (error.retry === 'no') return false;
  // What the client would be told counts, whether it came from the server or is ours.
  if (grpc && wantsRetryOfCode(policy, codeOfError(error))) return true;
  if (error.retry !== 'yes' && !policy.nonIdempotent && !isIdempotent(method)) return false;
  for (const condition of policy.on) if (errorMatches(condition, error)) return true;
  return false;
}
