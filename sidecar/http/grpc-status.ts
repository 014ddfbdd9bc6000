import type { ProxyError, ResponseFlag } from './errors.ts';
import type { Headers } from './headers.ts';

/** Codes of gRPC (grpc/doc/statuscodes.md) that are made or looked for here. */
export const GrpcCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

const HIGHEST_CODE = 16;

/**
 * What a client makes of an HTTP answer without `grpc-status` (grpc/doc/http-grpc-status-mapping.md): for records of
 * answers that pass as they are.
 */
export function codeOfHttpStatus(status: number): number {
  switch (status) {
    case 400:
      return GrpcCode.internal;
    case 401:
      return GrpcCode.unauthenticated;
    case 403:
      return GrpcCode.permissionDenied;
    case 404:
      return GrpcCode.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcCode.unavailable;
    default:
      return GrpcCode.unknown;
  }
}

/**
 * The code of an answer of our own. That of the mapping for clients, but where statuscodes.md has a better word: a time
 * that ran out is DEADLINE_EXCEEDED, and a limit of rate or size is RESOURCE_EXHAUSTED, since clients repeat UNAVAILABLE.
 * Envoy says UNAVAILABLE to both.
 */
export function codeOfReply(status: number, flag: ResponseFlag | ''): number {
  // GRPCRoute, backendRefs: a reference that is invalid answers UNAVAILABLE.
  if (flag === 'NC') return GrpcCode.unavailable;
  switch (status) {
    case 408:
    case 504:
      return GrpcCode.deadlineExceeded;
    case 413:
    case 414:
    case 429:
    case 431:
      return GrpcCode.resourceExhausted;
    default:
      return codeOfHttpStatus(status);
  }
}

/** What the client would be told of an attempt that ended without an answer. */
export function codeOfError(error: ProxyError): number {
  return codeOfReply(error.status, error.flag);
}

/** Of a head or of trailers: -1 if there is none; what is no code is UNKNOWN, as it is to a client. */
export function grpcStatusOf(headers: Headers): number {
  const text = headers.get('grpc-status');
  if (text === undefined) return -1;
  if (!/^\d{1,2}$/.test(text)) return GrpcCode.unknown;
  const code = Number(text);
  return code <= HIGHEST_CODE ? code : GrpcCode.unknown;
}

/** The other way round, as Envoy's router does, for those that judge a server by statuses. */
export function httpStatusOfFailure(code: number): number {
  switch (code) {
    case GrpcCode.unavailable:
      return 503;
    case GrpcCode.deadlineExceeded:
      return 504;
    default:
      return isServerFailure(code) ? 500 : 200;
  }
}

/** Codes that speak of the server's health rather than of the call, for the circuit breaker. */
export function isServerFailure(code: number): boolean {
  switch (code) {
    case GrpcCode.unknown:
    case GrpcCode.deadlineExceeded:
    case GrpcCode.internal:
    case GrpcCode.unavailable:
    case GrpcCode.dataLoss:
      return true;
    default:
      return false;
  }
}
