import type { HeaderMatch } from './match.ts';

/**
 * The last five are statuses of gRPC, as a server answers them without a message or as the sidecar would answer itself.
 * Naming one asks for calls, all of which are POST: `nonIdempotent` does not matter to it.
 */
export type RetryCondition =
  | '5xx'
  | 'gateway-error'
  | 'connect-failure'
  | 'reset'
  | 'retriable-4xx'
  | 'refused-stream'
  | 'retriable-status-codes'
  | 'retriable-headers'
  | 'cancelled'
  | 'deadline-exceeded'
  | 'internal'
  | 'resource-exhausted'
  | 'unavailable';

export interface RetryPolicy {
  readonly on: readonly RetryCondition[];
  /** Besides the first attempt. */
  readonly retriesMax: number;
  /** 0: none. */
  readonly perTryTimeoutMs: number;
  readonly statusCodes: readonly number[];
  /** Fields of a response that ask for a retry whatever its status, where `on` has `retriable-headers`; any of them. */
  readonly responseHeaders?: readonly HeaderMatch[];
  /** Only requests that one of these matches are retried. */
  readonly requestHeaders?: readonly HeaderMatch[];
  /** Full jitter between 0 and min(max, base * 2^n). */
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** The server says when to come back. */
  readonly retryAfter?: RetryAfter;
  /** True: also methods that are not idempotent (RFC 9110 section 9.2.2). */
  readonly nonIdempotent: boolean;
  /** A request with a field `Idempotency-Key` may be repeated whatever its method. */
  readonly idempotencyKey?: true;
  /** Bodies up to this are held for a retry; absent: `BODY_REPLAY_BYTES_DEFAULT`. */
  readonly bodyBytesMax?: number;
  /** Retried although a caller further up retries too. */
  readonly nested?: true;
}

/** Without being asked only what is safe: no request has arrived, or repeating it has no further effect. */
export const defaultRetry: RetryPolicy = {
  on: ['connect-failure', 'refused-stream', 'reset'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 25,
  backoffMaxMs: 250,
  nonIdempotent: false,
};

export const BODY_REPLAY_BYTES_DEFAULT = 65_536;
export const BODY_REPLAY_BYTES_MAX = 1_048_576;

/** Envoy's rate_limited_retry_back_off. */
export interface RetryAfter {
  /** The first that can be read counts. */
  readonly headers: readonly ResetHeader[];
  readonly maxMs: number;
  /** What to do where the server asks for more time than `maxMs`: no retry, or one as if it had not asked (Envoy). */
  readonly beyond: 'give-up' | 'ignore';
}

export interface ResetHeader {
  /** Lower case. */
  readonly name: string;
  /** `seconds` from now, or an HTTP-date (RFC 9110 section 10.2.3); `unix`: seconds since 1970. */
  readonly format: 'seconds' | 'unix';
}

/** More than one attempt at a time; the first good answer counts. Never more than the retry policy and budgets allow. */
export interface HedgePolicy {
  /** An attempt that exceeds its own time goes on beside the next (Envoy's hedge_on_per_try_timeout). */
  readonly onPerTryTimeout: boolean;
  /** Another attempt is made beside one that has not answered for so long; undefined: none. */
  readonly delayed: DelayedHedge | undefined;
}

export interface DelayedHedge {
  readonly delay:
    | { readonly kind: 'fixed'; readonly delayMs: number }
    /** What that share of the cluster's recent answers took, but at least `delayMsMin`. */
    | { readonly kind: 'percentile'; readonly percentile: number; readonly delayMsMin: number };
  /** The first included. */
  readonly attemptsMax: number;
}
