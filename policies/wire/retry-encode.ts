import { create, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import type { HedgePolicy, RetryPolicy } from '../model/retry.ts';
import {
  RetryPolicy_ResetHeaderFormat as Format,
  type HedgePolicySchema,
  type RetryPolicySchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import { PreviousHostsPredicateSchema } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts';
import { encodeHeaderMatch } from './match.ts';
import { encodeDuration } from './values.ts';

/** As often as our own picker draws again before a scan decides. */
const HOST_SELECTIONS_MAX = 3n;

export const encodeRetry = (retry: RetryPolicy): MessageInitShape<typeof RetryPolicySchema> => ({
  retryOn: retry.on.join(','),
  numRetries: retry.retriesMax,
  ...(retry.perTryTimeoutMs === 0 ? {} : { perTryTimeout: encodeDuration(retry.perTryTimeoutMs) }),
  retriableStatusCodes: [...retry.statusCodes],
  retriableHeaders: (retry.responseHeaders ?? []).map(encodeHeaderMatch),
  retriableRequestHeaders: (retry.requestHeaders ?? []).map(encodeHeaderMatch),
  // Envoy asks for a base above zero and a maximum that is not below it.
  retryBackOff: {
    baseInterval: encodeDuration(Math.max(1, retry.backoffBaseMs)),
    maxInterval: encodeDuration(Math.max(1, retry.backoffBaseMs, retry.backoffMaxMs)),
  },
  ...encodeRetryAfter(retry),
  // What our own sidecars do without being told.
  ...(retry.retriesMax === 0
    ? {}
    : {
        retryHostPredicate: [
          {
            name: 'envoy.retry_host_predicates.previous_hosts',
            configType: {
              case: 'typedConfig',
              value: anyPack(PreviousHostsPredicateSchema, create(PreviousHostsPredicateSchema)),
            },
          },
        ],
        hostSelectionRetryMaxAttempts: HOST_SELECTIONS_MAX,
      }),
});

function encodeRetryAfter({
  retryAfter,
}: RetryPolicy): Pick<MessageInitShape<typeof RetryPolicySchema>, 'rateLimitedRetryBackOff'> {
  if (retryAfter === undefined) return {};
  return {
    rateLimitedRetryBackOff: {
      resetHeaders: retryAfter.headers.map(({ name, format }) => ({
        name,
        format: format === 'unix' ? Format.UNIX_TIMESTAMP : Format.SECONDS,
      })),
      maxInterval: encodeDuration(retryAfter.maxMs),
    },
  };
}

/** What Envoy's message has words for. */
export const encodeHedge = ({
  onPerTryTimeout,
}: HedgePolicy): MessageInitShape<typeof HedgePolicySchema> | undefined =>
  onPerTryTimeout ? { hedgeOnPerTryTimeout: true } : undefined;

/** What it has none for, in `filter_metadata["weft.dev"]` of the route. */
export function encodeRetrySettings(retry: RetryPolicy | undefined, hedge: HedgePolicy | undefined): JsonObject {
  const delayed = hedge?.delayed;
  const more: JsonObject = {
    ...(retry?.retryAfter?.beyond === 'give-up' ? { give_up_beyond_retry_after: true } : {}),
    ...(retry?.idempotencyKey === true ? { idempotency_key: true } : {}),
    ...(retry?.nested === true ? { nested: true } : {}),
  };
  return {
    ...(retry?.nonIdempotent === true ? { retry_non_idempotent: true } : {}),
    ...(Object.keys(more).length === 0 ? {} : { retry: more }),
    ...(delayed === undefined
      ? {}
      : {
          hedge: {
            attempts_max: delayed.attemptsMax,
            ...(delayed.delay.kind === 'fixed'
              ? { delay_ms: delayed.delay.delayMs }
              : { percentile: delayed.delay.percentile, delay_ms_min: delayed.delay.delayMsMin }),
          },
        }),
  };
}
