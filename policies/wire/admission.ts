/** Concurrency: Envoy's gradient filter, and beside it what only Weft has, `weft.v1.Admission`. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Admission, GradientSettings } from '../model/overload.ts';
import type { At } from './decoding.ts';
import type {
  AdaptiveConcurrency,
  AdaptiveConcurrencySchema,
} from './gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.ts';
import type { StatusCode } from './gen/envoy/type/v3/http_status_pb.ts';
import type { Admission as AdmissionMessage, AdmissionSchema } from './gen/weft/v1/overload_pb.ts';
import { decodeMatches, encodeMatch } from './rate-limits.ts';
import { decodeDuration, encodeDuration } from './values.ts';

const SERVICE_UNAVAILABLE = 503;
/** Defaults of Envoy's. */
const LIMIT_MAX = 1_000;
const SAMPLES = 50;
const LIMIT_MIN = 3;
const JITTER_PERCENT = 15;
const BUFFER_PERCENT = 25;
const PERCENTILE = 50;

export const encodeGradient = (gradient: GradientSettings): MessageInitShape<typeof AdaptiveConcurrencySchema> => ({
  concurrencyControllerConfig: {
    case: 'gradientControllerConfig',
    value: {
      sampleAggregatePercentile: { value: gradient.percentile },
      concurrencyLimitParams: {
        maxConcurrencyLimit: gradient.limitMax,
        concurrencyUpdateInterval: encodeDuration(gradient.updateIntervalMs),
      },
      minRttCalcParams: {
        interval: encodeDuration(gradient.minRttIntervalMs),
        requestCount: gradient.minRttSamples,
        jitter: { value: gradient.minRttJitterPercent },
        minConcurrency: gradient.limitMin,
        buffer: { value: gradient.bufferPercent },
      },
    },
  },
  concurrencyLimitExceededStatus: { code: gradient.status as StatusCode },
});

function positive(value: number, at: At): number {
  return value > 0 ? value : at.fail('has to be more than 0', 1);
}

export function decodeGradient(message: AdaptiveConcurrency, at: At): GradientSettings | undefined {
  if (message.concurrencyControllerConfig.case !== 'gradientControllerConfig') {
    return at.field('gradient_controller_config').fail('is required', undefined);
  }
  const here = at.field('gradient_controller_config');
  const config = message.concurrencyControllerConfig.value;
  const limit = config.concurrencyLimitParams;
  const rtt = config.minRttCalcParams;
  const [limitAt, rttAt] = [here.field('concurrency_limit_params'), here.field('min_rtt_calc_params')];
  if (limit?.concurrencyUpdateInterval === undefined) {
    return limitAt.field('concurrency_update_interval').fail('is required', undefined);
  }
  if (rtt?.interval === undefined) return rttAt.field('interval').fail('is required', undefined);
  const updateAt = limitAt.field('concurrency_update_interval');
  const percentile = config.sampleAggregatePercentile?.value ?? PERCENTILE;
  const status = message.concurrencyLimitExceededStatus?.code ?? 0;
  return {
    limitMax: positive(limit.maxConcurrencyLimit ?? LIMIT_MAX, limitAt.field('max_concurrency_limit')),
    updateIntervalMs: positive(decodeDuration(limit.concurrencyUpdateInterval, 1, updateAt), updateAt),
    percentile:
      percentile >= 0 && percentile <= 100
        ? percentile
        : here.field('sample_aggregate_percentile').fail('has to be from 0 to 100', PERCENTILE),
    minRttIntervalMs: positive(decodeDuration(rtt.interval, 1, rttAt.field('interval')), rttAt.field('interval')),
    minRttSamples: positive(rtt.requestCount ?? SAMPLES, rttAt.field('request_count')),
    minRttJitterPercent: rtt.jitter?.value ?? JITTER_PERCENT,
    limitMin: positive(rtt.minConcurrency ?? LIMIT_MIN, rttAt.field('min_concurrency')),
    bufferPercent: rtt.buffer?.value ?? BUFFER_PERCENT,
    // As in Envoy, what is no error is not taken.
    status: status < 400 ? SERVICE_UNAVAILABLE : status,
  };
}

export const encodeAdmission = (admission: Admission): MessageInitShape<typeof AdmissionSchema> => ({
  name: admission.name,
  fixedLimit: admission.fixedLimit ?? 0,
  classes: admission.classes.map(({ name, matches, weight }) => ({ name, matches: matches.map(encodeMatch), weight })),
  queue: {
    lengthMax: admission.queue.lengthMax,
    waitMax: encodeDuration(admission.queue.waitMsMax),
    target: encodeDuration(admission.queue.targetMs),
    interval: encodeDuration(admission.queue.intervalMs),
  },
});

export function decodeAdmission(message: AdmissionMessage, at: At): Admission {
  const classes = message.classes.map(({ name, matches, weight }, index) => {
    const here = at.field('classes').index(index);
    if (name === '') here.field('name').fail('is required', undefined);
    if (weight < 1) here.field('weight').fail('has to be at least 1', undefined);
    return { name, matches: decodeMatches(matches, here.field('matches')), weight };
  });
  if (classes.at(-1)?.matches.length !== 0) {
    at.field('classes').fail('the last class has to be one that every request matches', undefined);
  }
  const { queue } = message;
  const here = at.field('queue');
  return {
    name: message.name,
    fixedLimit: message.fixedLimit === 0 ? undefined : message.fixedLimit,
    classes,
    queue: {
      lengthMax: queue?.lengthMax ?? 0,
      waitMsMax: decodeDuration(queue?.waitMax, 0, here.field('wait_max')),
      targetMs: decodeDuration(queue?.target, 0, here.field('target')),
      intervalMs: decodeDuration(queue?.interval, 0, here.field('interval')),
    },
  };
}
