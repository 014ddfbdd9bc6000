import type { TokenBucketSettings } from '../kit/token-bucket.ts';
import type { Permission, Principal } from './authorization.ts';
import type { Fraction } from './fraction.ts';
import type { HeaderMutation } from './route.ts';

/** Envoy's local rate limit, of a listener or in its place of a route. */
export interface LocalRateLimit {
  readonly statPrefix: string;
  /** Undefined: only routes that bring a bucket are limited. */
  readonly bucket: TokenBucketSettings | undefined;
  /** Of requests: those that take a token, and of these those that are refused without one. */
  readonly enabled: Fraction;
  readonly enforced: Fraction;
  readonly status: number;
  /** For what is refused. */
  readonly responseHeaders: HeaderMutation;
  /** For what would have been refused if it were enforced. */
  readonly requestHeaders: HeaderMutation;
  /** `x-ratelimit-*` on responses. */
  readonly rateLimitHeaders: boolean;
}

/** Any permission and any principal have to match. */
export interface RequestMatch {
  readonly permissions: readonly Permission[];
  readonly principals: readonly Principal[];
}

export type RateLimitKey =
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'path' }
  | { readonly kind: 'identity' };

/** A limit of an OverloadPolicy that Envoy's messages cannot say. */
export interface RateLimit {
  /** `<namespace>/<policy>/<limit>`. */
  readonly name: string;
  /** Any of them; none: every request. */
  readonly matches: readonly RequestMatch[];
  readonly bucket: TokenBucketSettings;
  /** Undefined: one bucket for all. */
  readonly key: RateLimitKey | undefined;
  readonly keysMax: number;
  /** The bucket is that of all sidecars together: the control plane leases parts of it. */
  readonly global: boolean;
  readonly status: number;
  readonly rateLimitHeaders: boolean;
}

/** Envoy's gradient controller: the limit follows the ratio of latency without load to latency now. */
export interface GradientSettings {
  readonly limitMax: number;
  readonly updateIntervalMs: number;
  /** Of the latencies of an interval, 0..100. */
  readonly percentile: number;
  readonly minRttIntervalMs: number;
  readonly minRttSamples: number;
  readonly minRttJitterPercent: number;
  /** The lowest limit, also while latency without load is measured. */
  readonly limitMin: number;
  readonly bufferPercent: number;
  /** Of what is shed. */
  readonly status: number;
}

export interface PriorityClass {
  readonly name: string;
  /** Any of them; none: every request. */
  readonly matches: readonly RequestMatch[];
  readonly weight: number;
}

export interface QueueSettings {
  readonly lengthMax: number;
  readonly waitMsMax: number;
  readonly targetMs: number;
  readonly intervalMs: number;
}

/** How requests come to the application when not all can at once. */
export interface Admission {
  /** `<namespace>/<workload>`. */
  readonly name: string;
  /** Undefined: that of the gradient filter beside it. */
  readonly fixedLimit: number | undefined;
  /** The first that matches; the last one takes every request. */
  readonly classes: readonly PriorityClass[];
  readonly queue: QueueSettings;
}
