import { isMessage } from '@bufbuild/protobuf';
import {
  BODY_REPLAY_BYTES_MAX,
  type DelayedHedge,
  type HedgePolicy,
  type RetryAfter,
  type RetryCondition,
  type RetryPolicy,
} from '../model/retry.ts';
import type { At } from './decoding.ts';
import {
  RetryPolicy_ResetHeaderFormat as Format,
  type RetryPolicy as RetryPolicyMessage,
  type RouteAction as RouteActionMessage,
  type Route as RouteMessage,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import { PreviousHostsPredicateSchema } from './gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.ts';
import { decodeHeaderMatch } from './match.ts';
import { DURATION_MS_MAX, decodeDuration, type StructReader } from './values.ts';

const conditions: readonly RetryCondition[] = [
  '5xx',
  'gateway-error',
  'connect-failure',
  'reset',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];

/** Envoy's default of rate_limited_retry_back_off. */
const RETRY_AFTER_DEFAULT_MS = 300_000;
const HEDGED_ATTEMPTS_MAX = 10;

/** What stands around an action and belongs to its retries. */
export interface RetrySettings {
  readonly nonIdempotent: boolean;
  readonly idempotencyKey: boolean;
  readonly nested: boolean;
  readonly givesUpBeyondRetryAfter: boolean;
  readonly bodyBytesMax: number | undefined;
  readonly hedge: DelayedHedge | undefined;
}

export function decodeRetrySettings(route: RouteMessage, settings: StructReader, at: At): RetrySettings {
  const nonIdempotent = settings.boolean('retry_non_idempotent');
  const retry = settings.object('retry');
  const more = {
    idempotencyKey: retry?.boolean('idempotency_key') ?? false,
    nested: retry?.boolean('nested') ?? false,
    givesUpBeyondRetryAfter: retry?.boolean('give_up_beyond_retry_after') ?? false,
  };
  retry?.end();
  const bytes = route.perRequestBufferLimitBytes;
  const here = at.field('per_request_buffer_limit_bytes');
  return {
    nonIdempotent,
    ...more,
    bodyBytesMax:
      bytes !== undefined && bytes > BODY_REPLAY_BYTES_MAX
        ? here.fail(`has to be at most ${BODY_REPLAY_BYTES_MAX}`, undefined)
        : bytes,
    hedge: decodeDelayedHedge(settings.object('hedge')),
  };
}

function decodeDelayedHedge(reader: StructReader | undefined): DelayedHedge | undefined {
  if (reader === undefined) return undefined;
  const attemptsMax = reader.number('attempts_max', 2, HEDGED_ATTEMPTS_MAX);
  const delayMs = reader.number('delay_ms', 0, DURATION_MS_MAX);
  const percentile = reader.number('percentile', 0, 100);
  const delayMsMin = reader.number('delay_ms_min', 0, DURATION_MS_MAX);
  reader.end();
  return {
    attemptsMax,
    delay: percentile > 0 ? { kind: 'percentile', percentile, delayMsMin } : { kind: 'fixed', delayMs },
  };
}

export function decodeHedge(
  { hedgePolicy }: RouteActionMessage,
  { hedge: delayed }: RetrySettings,
): { readonly hedge?: HedgePolicy } {
  const onPerTryTimeout = hedgePolicy?.hedgeOnPerTryTimeout ?? false;
  return onPerTryTimeout || delayed !== undefined ? { hedge: { onPerTryTimeout, delayed } } : {};
}

export function decodeRetry(policy: RetryPolicyMessage, settings: RetrySettings, at: At): RetryPolicy {
  const on: RetryCondition[] = [];
  for (const text of policy.retryOn.split(',')) {
    const name = text.trim();
    const condition = conditions.find((known) => known === name);
    if (condition !== undefined) on.push(condition);
    else if (name !== '') at.field('retry_on').fail(`condition "${name}" is not supported by Weft`, undefined);
  }
  const backOff = policy.retryBackOff;
  const here = at.field('retry_back_off');
  // Envoy's defaults: 25 ms, and ten times the base.
  const backoffBaseMs = decodeDuration(backOff?.baseInterval, 25, here.field('base_interval'));
  const backoffMaxMs = decodeDuration(backOff?.maxInterval, backoffBaseMs * 10, here.field('max_interval'));
  if (backoffBaseMs === 0) here.field('base_interval').fail('has to be more than 0', undefined);
  if (backoffMaxMs < backoffBaseMs) here.field('max_interval').fail('is less than base_interval', undefined);
  checkPredicates(policy, at.field('retry_host_predicate'));
  const { retriableHeaders: response, retriableRequestHeaders: request } = policy;
  const responseAt = at.field('retriable_headers');
  const requestAt = at.field('retriable_request_headers');
  return {
    on,
    retriesMax: policy.numRetries ?? 1,
    perTryTimeoutMs: decodeDuration(policy.perTryTimeout, 0, at.field('per_try_timeout')),
    statusCodes: [...policy.retriableStatusCodes],
    ...(response.length === 0
      ? {}
      : { responseHeaders: response.map((match, i) => decodeHeaderMatch(match, responseAt.index(i))) }),
    ...(request.length === 0
      ? {}
      : { requestHeaders: request.map((match, i) => decodeHeaderMatch(match, requestAt.index(i))) }),
    backoffBaseMs,
    backoffMaxMs,
    ...decodeRetryAfter(policy, settings, at.field('rate_limited_retry_back_off')),
    nonIdempotent: settings.nonIdempotent,
    ...(settings.idempotencyKey ? { idempotencyKey: true } : {}),
    ...(settings.bodyBytesMax === undefined ? {} : { bodyBytesMax: settings.bodyBytesMax }),
    ...(settings.nested ? { nested: true } : {}),
  };
}

/** Hosts that were tried before are avoided anyway. */
function checkPredicates({ retryHostPredicate: predicates }: RetryPolicyMessage, at: At): void {
  for (const [i, { configType }] of predicates.entries()) {
    const config = configType.case === 'typedConfig' ? at.decoding.unpack(configType.value) : undefined;
    if (isMessage(config, PreviousHostsPredicateSchema)) continue;
    at.index(i).field('typed_config').fail('only PreviousHostsPredicate is supported by Weft', undefined);
  }
}

function decodeRetryAfter(
  { rateLimitedRetryBackOff: message }: RetryPolicyMessage,
  settings: RetrySettings,
  at: At,
): { readonly retryAfter?: RetryAfter } {
  if (message === undefined) return {};
  const headersAt = at.field('reset_headers');
  if (message.resetHeaders.length === 0) headersAt.fail('at least one is required', undefined);
  const maxMs = decodeDuration(message.maxInterval, RETRY_AFTER_DEFAULT_MS, at.field('max_interval'));
  if (maxMs === 0) at.field('max_interval').fail('has to be more than 0', undefined);
  return {
    retryAfter: {
      headers: message.resetHeaders.map(({ name, format }, i) => {
        if (name === '') headersAt.index(i).field('name').fail('name is required', undefined);
        return { name: name.toLowerCase(), format: format === Format.UNIX_TIMESTAMP ? 'unix' : 'seconds' };
      }),
      maxMs,
      beyond: settings.givesUpBeyondRetryAfter ? 'give-up' : 'ignore',
    },
  };
}
