import { acceptedDurationMs } from '@weft/policies/crds/duration';
import { defaultOutlierDetection, type OutlierDetection } from '@weft/policies/model/outlier';
import type { MergedPolicy } from './policy.ts';

type Policy = NonNullable<MergedPolicy['outlierDetection']>;

/** No cluster has so many endpoints: a criterion that nobody asked for finds nothing, in any proxy. */
const never = 4_294_967_295;

export function outlierOf({ outlierDetection: policy }: MergedPolicy): OutlierDetection | undefined {
  if (policy === undefined) return undefined;
  const { enforcedPercent, latency } = policy;
  // Failures in a row are counted from 1, so that 0 is never reached.
  const inARow = (errorsMax = 0) => ({ errorsMax, enforcedPercent: errorsMax === 0 ? 0 : enforcedPercent });
  return {
    intervalMs: acceptedDurationMs(policy.interval),
    baseEjectionTimeMs: acceptedDurationMs(policy.baseEjectionTime),
    ejectionTimeMsMax: acceptedDurationMs(policy.maxEjectionTime),
    ejectionTimeJitterMs: 0,
    ejectionPercentMax: policy.maxEjectionPercent,
    alwaysEjectOne: false,
    // A check says that an endpoint lives, not that it is as good as its peers.
    endedByHealthCheck: false,
    splitLocalErrors: policy.consecutiveLocalFailures !== undefined,
    consecutive: {
      serverErrors: inARow(policy.consecutive5xx),
      gatewayErrors: inARow(policy.consecutiveGatewayErrors),
      localErrors: inARow(policy.consecutiveLocalFailures),
    },
    ...comparisons(policy),
    ...(latency === undefined
      ? {}
      : {
          latency: {
            factor: latency.factorPercent / 100,
            percentile: latency.percentile,
            differenceMsMin: acceptedDurationMs(latency.minDifference),
            hostsMin: latency.minEndpoints,
            requestsMin: latency.minRequests,
            enforcedPercent,
          },
        }),
  };
}

function comparisons({
  enforcedPercent,
  successRate,
  failurePercentage,
}: Policy): Pick<OutlierDetection, 'successRate' | 'failurePercentage'> {
  const enforced = (asked: object | undefined) => ({
    enforcedPercent: asked === undefined ? 0 : enforcedPercent,
    localEnforcedPercent: asked === undefined ? 0 : enforcedPercent,
  });
  const { successRate: rate, failurePercentage: share } = defaultOutlierDetection;
  return {
    successRate: {
      hostsMin: successRate?.minEndpoints ?? never,
      requestsMin: successRate?.minRequests ?? rate.requestsMin,
      deviations: successRate === undefined ? rate.deviations : successRate.deviationsPercent / 100,
      ...enforced(successRate),
    },
    failurePercentage: {
      thresholdPercent: failurePercentage?.thresholdPercent ?? share.thresholdPercent,
      hostsMin: failurePercentage?.minEndpoints ?? never,
      requestsMin: failurePercentage?.minRequests ?? share.requestsMin,
      ...enforced(failurePercentage),
    },
  };
}
