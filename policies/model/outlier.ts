/** Envoy's OutlierDetection: endpoints that fail are left out for a while. Percentages are 0..100. */
export interface OutlierDetection {
  readonly intervalMs: number;
  /** Times the number of ejections, at most `ejectionTimeMsMax`. */
  readonly baseEjectionTimeMs: number;
  readonly ejectionTimeMsMax: number;
  readonly ejectionTimeJitterMs: number;
  /** Of all endpoints, at one time. */
  readonly ejectionPercentMax: number;
  readonly alwaysEjectOne: boolean;
  /** An endpoint that passes its health check comes back at once. */
  readonly endedByHealthCheck: boolean;
  /** Failures of the connection count apart from answers. */
  readonly splitLocalErrors: boolean;
  readonly consecutive: {
    readonly serverErrors: Consecutive;
    /** 502, 503 and 504. */
    readonly gatewayErrors: Consecutive;
    readonly localErrors: Consecutive;
  };
  readonly successRate: {
    readonly hostsMin: number;
    readonly requestsMin: number;
    /** Endpoints below mean - deviations * standard deviation. */
    readonly deviations: number;
    readonly enforcedPercent: number;
    readonly localEnforcedPercent: number;
  };
  readonly failurePercentage: {
    readonly thresholdPercent: number;
    readonly hostsMin: number;
    readonly requestsMin: number;
    readonly enforcedPercent: number;
    readonly localEnforcedPercent: number;
  };
  /** Not of Envoy's API. */
  readonly latency?: LatencyOutliers;
}

/** An endpoint is an outlier whose time to the head of a response is more than `factor` times its peers'. */
export interface LatencyOutliers {
  readonly factor: number;
  /** Of an endpoint's answers in an interval; its peers' is the median of theirs. */
  readonly percentile: number;
  /** Slower by at least this, whatever the factor. */
  readonly differenceMsMin: number;
  readonly hostsMin: number;
  readonly requestsMin: number;
  readonly enforcedPercent: number;
}

/** So many in a row eject, in that share of cases. */
export interface Consecutive {
  readonly errorsMax: number;
  readonly enforcedPercent: number;
}

/** Envoy's. */
export const defaultOutlierDetection: OutlierDetection = {
  intervalMs: 10_000,
  baseEjectionTimeMs: 30_000,
  ejectionTimeMsMax: 300_000,
  ejectionTimeJitterMs: 0,
  ejectionPercentMax: 10,
  alwaysEjectOne: false,
  endedByHealthCheck: true,
  splitLocalErrors: false,
  consecutive: {
    serverErrors: { errorsMax: 5, enforcedPercent: 100 },
    gatewayErrors: { errorsMax: 5, enforcedPercent: 0 },
    localErrors: { errorsMax: 5, enforcedPercent: 100 },
  },
  successRate: { hostsMin: 5, requestsMin: 100, deviations: 1.9, enforcedPercent: 100, localEnforcedPercent: 100 },
  failurePercentage: {
    thresholdPercent: 85,
    hostsMin: 5,
    requestsMin: 50,
    enforcedPercent: 0,
    localEnforcedPercent: 0,
  },
};
