import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { Consecutive, LatencyOutliers, OutlierDetection } from '../model/outlier.ts';
import { defaultOutlierDetection as defaults } from '../model/outlier.ts';
import type { At } from './decoding.ts';
import type {
  OutlierDetectionSchema,
  OutlierDetection as OutlierMessage,
} from './gen/envoy/config/cluster/v3/outlier_detection_pb.ts';
import { DURATION_MS_MAX, decodeDuration, encodeDuration, type StructReader } from './values.ts';

/** success_rate_stdev_factor is in thousandths. */
const STDEV_SCALE = 1_000;
const UINT32_MAX = 4_294_967_295;

export const encodeOutlier = (outlier: OutlierDetection): MessageInitShape<typeof OutlierDetectionSchema> => ({
  interval: encodeDuration(outlier.intervalMs),
  baseEjectionTime: encodeDuration(outlier.baseEjectionTimeMs),
  maxEjectionTime: encodeDuration(outlier.ejectionTimeMsMax),
  maxEjectionTimeJitter: encodeDuration(outlier.ejectionTimeJitterMs),
  maxEjectionPercent: outlier.ejectionPercentMax,
  alwaysEjectOneHost: outlier.alwaysEjectOne,
  successfulActiveHealthCheckUnejectHost: outlier.endedByHealthCheck,
  splitExternalLocalOriginErrors: outlier.splitLocalErrors,
  consecutive5xx: outlier.consecutive.serverErrors.errorsMax,
  enforcingConsecutive5xx: outlier.consecutive.serverErrors.enforcedPercent,
  consecutiveGatewayFailure: outlier.consecutive.gatewayErrors.errorsMax,
  enforcingConsecutiveGatewayFailure: outlier.consecutive.gatewayErrors.enforcedPercent,
  consecutiveLocalOriginFailure: outlier.consecutive.localErrors.errorsMax,
  enforcingConsecutiveLocalOriginFailure: outlier.consecutive.localErrors.enforcedPercent,
  successRateMinimumHosts: outlier.successRate.hostsMin,
  successRateRequestVolume: outlier.successRate.requestsMin,
  successRateStdevFactor: Math.round(outlier.successRate.deviations * STDEV_SCALE),
  enforcingSuccessRate: outlier.successRate.enforcedPercent,
  enforcingLocalOriginSuccessRate: outlier.successRate.localEnforcedPercent,
  failurePercentageThreshold: outlier.failurePercentage.thresholdPercent,
  failurePercentageMinimumHosts: outlier.failurePercentage.hostsMin,
  failurePercentageRequestVolume: outlier.failurePercentage.requestsMin,
  enforcingFailurePercentage: outlier.failurePercentage.enforcedPercent,
  enforcingFailurePercentageLocalOrigin: outlier.failurePercentage.localEnforcedPercent,
});

export function decodeOutlier(message: OutlierMessage, at: At): OutlierDetection {
  const percent = (value: number | undefined, absent: number, field: string): number => {
    if (value !== undefined && value > 100) at.field(field).fail('has to be from 0 to 100', undefined);
    return value ?? absent;
  };
  const time = (value: OutlierMessage['interval'], absentMs: number, field: string): number => {
    const ms = decodeDuration(value, absentMs, at.field(field));
    return ms > 0 ? ms : at.field(field).fail('has to be more than 0', absentMs);
  };
  const baseEjectionTimeMs = time(message.baseEjectionTime, defaults.baseEjectionTimeMs, 'base_ejection_time');
  const longest = Math.max(defaults.ejectionTimeMsMax, baseEjectionTimeMs);
  return {
    intervalMs: time(message.interval, defaults.intervalMs, 'interval'),
    baseEjectionTimeMs,
    ejectionTimeMsMax: time(message.maxEjectionTime, longest, 'max_ejection_time'),
    ejectionTimeJitterMs: decodeDuration(message.maxEjectionTimeJitter, 0, at.field('max_ejection_time_jitter')),
    ejectionPercentMax: percent(message.maxEjectionPercent, defaults.ejectionPercentMax, 'max_ejection_percent'),
    alwaysEjectOne: message.alwaysEjectOneHost ?? false,
    endedByHealthCheck: message.successfulActiveHealthCheckUnejectHost ?? defaults.endedByHealthCheck,
    splitLocalErrors: message.splitExternalLocalOriginErrors,
    consecutive: decodeConsecutive(message, percent),
    successRate: {
      hostsMin: message.successRateMinimumHosts ?? defaults.successRate.hostsMin,
      requestsMin: message.successRateRequestVolume ?? defaults.successRate.requestsMin,
      deviations: (message.successRateStdevFactor ?? defaults.successRate.deviations * STDEV_SCALE) / STDEV_SCALE,
      enforcedPercent: percent(message.enforcingSuccessRate, 100, 'enforcing_success_rate'),
      localEnforcedPercent: percent(
        message.enforcingLocalOriginSuccessRate,
        100,
        'enforcing_local_origin_success_rate',
      ),
    },
    failurePercentage: {
      thresholdPercent: percent(message.failurePercentageThreshold, 85, 'failure_percentage_threshold'),
      hostsMin: message.failurePercentageMinimumHosts ?? defaults.failurePercentage.hostsMin,
      requestsMin: message.failurePercentageRequestVolume ?? defaults.failurePercentage.requestsMin,
      enforcedPercent: percent(message.enforcingFailurePercentage, 0, 'enforcing_failure_percentage'),
      localEnforcedPercent: percent(
        message.enforcingFailurePercentageLocalOrigin,
        0,
        'enforcing_failure_percentage_local_origin',
      ),
    },
  };
}

function decodeConsecutive(
  message: OutlierMessage,
  percent: (value: number | undefined, absent: number, field: string) => number,
): OutlierDetection['consecutive'] {
  const { serverErrors, gatewayErrors, localErrors } = defaults.consecutive;
  const of = (max: number | undefined, enforced: number | undefined, absent: Consecutive, field: string) => ({
    errorsMax: max ?? absent.errorsMax,
    enforcedPercent: percent(enforced, absent.enforcedPercent, field),
  });
  return {
    serverErrors: of(
      message.consecutive5xx,
      message.enforcingConsecutive5xx,
      serverErrors,
      'enforcing_consecutive_5xx',
    ),
    gatewayErrors: of(
      message.consecutiveGatewayFailure,
      message.enforcingConsecutiveGatewayFailure,
      gatewayErrors,
      'enforcing_consecutive_gateway_failure',
    ),
    localErrors: of(
      message.consecutiveLocalOriginFailure,
      message.enforcingConsecutiveLocalOriginFailure,
      localErrors,
      'enforcing_consecutive_local_origin_failure',
    ),
  };
}

/** Envoy has no message for it: it stands in the cluster's metadata. */
export const encodeLatencyOutliers = (latency: LatencyOutliers): JsonObject => ({
  factor: latency.factor,
  percentile: latency.percentile,
  difference_ms_min: latency.differenceMsMin,
  hosts_min: latency.hostsMin,
  requests_min: latency.requestsMin,
  enforced_percent: latency.enforcedPercent,
});

export function decodeLatencyOutliers(reader: StructReader): LatencyOutliers {
  const latency = {
    factor: reader.number('factor', 1, 1_000),
    percentile: reader.number('percentile', 0, 100),
    differenceMsMin: reader.number('difference_ms_min', 0, DURATION_MS_MAX),
    hostsMin: reader.number('hosts_min', 0, UINT32_MAX),
    requestsMin: reader.number('requests_min', 0, UINT32_MAX),
    enforcedPercent: reader.number('enforced_percent', 0, 100),
  };
  reader.end();
  return latency;
}
