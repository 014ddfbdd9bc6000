import type { Fraction } from './fraction.ts';
import type { StringMatch } from './match.ts';

/** Envoy's CorsPolicy. Texts are the values of the header fields of that name; empty: the field is not sent. */
export interface CorsPolicy {
  /** Any of them; none: no origin is allowed. */
  readonly allowOrigins: readonly StringMatch[];
  readonly allowMethods: string;
  readonly allowHeaders: string;
  readonly exposeHeaders: string;
  readonly maxAge: string;
  readonly allowCredentials: boolean;
  /** A preflight of an origin that is not allowed goes to the upstream; else it is answered without permission. */
  readonly forwardsUnmatched: boolean;
  readonly enabled: Fraction;
}
