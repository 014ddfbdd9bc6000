/** How an endpoint is picked. Defaults are Envoy's where Envoy has the setting. */
export type Balancer =
  /** Of two drawn at random the one with the lower cost: peak latency, fading over `decayMs`, times what is under way. */
  | { readonly kind: 'peak-ewma'; readonly decayMs: number; readonly slowStart: SlowStart | undefined }
  /** The least busy of `choices` drawn at random. */
  | { readonly kind: 'least-request'; readonly choices: number; readonly slowStart: SlowStart | undefined }
  | { readonly kind: 'round-robin'; readonly slowStart: SlowStart | undefined }
  | { readonly kind: 'random' }
  | {
      readonly kind: 'ring-hash';
      readonly sizeMin: number;
      readonly sizeMax: number;
      /** A connection of opaque bytes has nothing to hash but its client's address; false: at random. */
      readonly hashesSource: boolean;
    }
  /** `tableSize` is a prime. */
  | { readonly kind: 'maglev'; readonly tableSize: number; readonly hashesSource: boolean }
  /** Weights from what endpoints report of themselves (ORCA); Envoy's client_side_weighted_round_robin. */
  | {
      readonly kind: 'load-reported';
      /** Reports of an endpoint count only when they have come for this long; 0: at once. */
      readonly blackoutMs: number;
      /** Without a report for this long, its weight is the mean of the others; 0: never. */
      readonly expirationMs: number;
      readonly updateMs: number;
      /** How much errors per request weigh beside utilization. */
      readonly errorPenalty: number;
    };

/** An endpoint that is new gets a share that grows: weight * max(min, (age / window) ^ (1 / aggression)). */
export interface SlowStart {
  readonly windowMs: number;
  readonly aggression: number;
  readonly weightPercentMin: number;
}

/** Each client uses about this many of the endpoints, always the same ones. */
export interface Subset {
  readonly size: number;
}

/** Envoy's zone_aware_lb_config: traffic stays in the client's zone as far as that zone has its share of endpoints. */
export interface ZoneAware {
  /** For this share of requests. */
  readonly enabledPercent: number;
  /** With fewer usable endpoints, zones do not count. */
  readonly endpointsMin: number;
}

/** What decides where a request goes, where endpoints are picked by hash. The values found are combined in this order. */
export type HashKey = { readonly terminal: boolean } & (
  | { readonly kind: 'header' /** Lower case. */; readonly name: string }
  /** With `ttlMs`, a cookie is made for clients without one; 0: until the client ends its session. */
  | { readonly kind: 'cookie'; readonly name: string; readonly ttlMs: number | undefined; readonly path: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'source-ip' }
);

const PEAK_EWMA_DECAY_MS = 10_000;
export const RING_SIZE_MIN = 1_024;
export const RING_SIZE_MAX = 8_388_608;
export const MAGLEV_TABLE_SIZE = 65_537;
export const MAGLEV_TABLE_SIZE_MAX = 5_000_011;
export const ZONE_ENDPOINTS_MIN = 6;
export const SLOW_START_WEIGHT_PERCENT_MIN = 10;

export const peakEwma = {
  kind: 'peak-ewma',
  decayMs: PEAK_EWMA_DECAY_MS,
  slowStart: undefined,
} as const satisfies Balancer;
export const leastRequest = { kind: 'least-request', choices: 2, slowStart: undefined } as const satisfies Balancer;
export const roundRobin = { kind: 'round-robin', slowStart: undefined } as const satisfies Balancer;
export const random = { kind: 'random' } as const satisfies Balancer;
