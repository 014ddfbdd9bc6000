import type { Fraction } from './fraction.ts';
import type { HeaderMatch } from './match.ts';

/** A share of the requests gets it. `header`: the request itself says how much, and the share is an upper bound. */
export interface FaultDelay {
  readonly delayMs: number | 'header';
  readonly share: Fraction;
}

export interface FaultAbort {
  readonly status:
    | { readonly kind: 'http'; readonly code: number }
    | { readonly kind: 'grpc'; readonly code: number }
    | { readonly kind: 'header' };
  readonly share: Fraction;
}

export interface FaultRate {
  readonly kibPerSecond: number | 'header';
  readonly share: Fraction;
}

/** Envoy's HTTPFault, and beside it what Envoy has no words for (`filter_metadata["weft.dev"].fault` of the route). */
export interface HttpFault {
  /** All must match; with `:method` and `:path`. */
  readonly headers: readonly HeaderMatch[];
  readonly delay?: FaultDelay;
  readonly abort?: FaultAbort;
  readonly responseRate?: FaultRate;
  /** Requests under a fault at one time; absent: any number. */
  readonly activeMax?: number;
  /** The client's stream is reset. */
  readonly reset?: { readonly share: Fraction };
  readonly requestRate?: { readonly kibPerSecond: number; readonly share: Fraction };
}

/** Faults of connections of opaque bytes, in `filter_metadata["weft.dev"].fault` of the cluster. */
export interface TcpFault {
  /** Before the upstream is connected. */
  readonly delay?: { readonly delayMs: number; readonly share: Fraction };
  /** The client's connection is reset in the place of a connection to the upstream. */
  readonly reset?: { readonly share: Fraction };
  /** KiB a second from the client to the upstream. */
  readonly requestRate?: { readonly kibPerSecond: number; readonly share: Fraction };
  readonly responseRate?: { readonly kibPerSecond: number; readonly share: Fraction };
  /** Connections under a fault at one time; absent: any number. */
  readonly activeMax?: number;
}
