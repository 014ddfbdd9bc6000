/** OverloadPolicies of a workload as HTTP filters of its inbound listener. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { OverloadPolicy } from '@weft/policies/crds/kinds';
import { queue } from '@weft/policies/crds/overload/concurrency';
import { type OverloadPolicyField, overloadPolicyFields } from '@weft/policies/crds/overloadpolicy';
import type { TokenBucketSettings } from '@weft/policies/kit/token-bucket';
import type { Permission } from '@weft/policies/model/authorization';
import { always } from '@weft/policies/model/fraction';
import type { HttpFilter } from '@weft/policies/model/listener';
import type {
  GradientSettings,
  PriorityClass,
  QueueSettings,
  RateLimit,
  RateLimitKey,
  RequestMatch,
} from '@weft/policies/model/overload';
import { noMutation } from '@weft/policies/model/route';
import type { Pod } from '../index/core.ts';
import { byAge, objectKey } from '../index/objects.ts';
import { type ClusterState, selects } from '../index/state.ts';
import type { TranslateContext } from './context.ts';
import { httpPermissions } from './permissions.ts';
import { principalContext, principalsOf } from './principals.ts';

type Spec = OverloadPolicy['spec'];
type RateLimitSpec = NonNullable<Spec['rateLimits']>[number];
type Match = NonNullable<RateLimitSpec['match']>[number];

/** What Envoy can name as a status of its own; with another one it would refuse the whole listener. */
const envoyStatus = /^(40\d|41[0-7]|42[1-4689]|431|50[0-8]|51[01])$/;

const defaultClass = { name: 'default', weight: 10 } as const;
/** Classes are about who goes first among those that wait. */
const defaultQueue = queue.parse({});
const noQueue: QueueSettings = { lengthMax: 0, waitMsMax: 0, targetMs: 0, intervalMs: 0 };

export function overloadPoliciesFor(state: ClusterState, pod: Pod): OverloadPolicy[] {
  return state.overloadPolicies
    .by('namespace', pod.metadata.namespace)
    .filter(({ spec }) => {
      const labels = spec.selector?.matchLabels ?? {};
      return Object.keys(labels).length === 0 || selects(labels, pod.metadata.labels);
    })
    .sort(byAge);
}

/** Which policy has its way with a field: the oldest that sets it. */
export type OverloadWinners = { readonly [Field in OverloadPolicyField]?: OverloadPolicy };

export function overloadWinners(state: ClusterState, pod: Pod): OverloadWinners {
  const winners: { [Field in OverloadPolicyField]?: OverloadPolicy } = {};
  for (const policy of overloadPoliciesFor(state, pod)) {
    for (const field of overloadPolicyFields) {
      if (policy.spec[field] !== undefined) winners[field] ??= policy;
    }
  }
  return winners;
}

/** True where Envoy's local rate limit says all of it. */
export const isPlainLimit = (limit: RateLimitSpec): boolean =>
  limit.match === undefined &&
  limit.key === undefined &&
  limit.scope === 'Local' &&
  envoyStatus.test(String(limit.status));

export function overloadFilters(context: TranslateContext, pod: Pod, winners: OverloadWinners): HttpFilter[] {
  return [...rateLimitFilters(context, winners.rateLimits), ...admissionFilters(context, pod, winners)];
}

function rateLimitFilters(context: TranslateContext, policy: OverloadPolicy | undefined): HttpFilter[] {
  if (policy === undefined) return [];
  const filters: HttpFilter[] = [];
  const others: RateLimit[] = [];
  for (const limit of policy.spec.rateLimits ?? []) {
    const name = `${objectKey(policy.metadata)}/${limit.name}`;
    if (!isPlainLimit(limit)) {
      others.push(rateLimit(context, policy, name, limit));
      continue;
    }
    filters.push({
      kind: 'localRateLimit',
      name: `weft.dev/local-ratelimit/${name}`,
      limit: {
        statPrefix: name,
        bucket: bucketOf(limit),
        enabled: always,
        enforced: always,
        status: limit.status,
        responseHeaders: noMutation,
        requestHeaders: noMutation,
        rateLimitHeaders: limit.headers,
      },
    });
  }
  if (others.length > 0) filters.push({ kind: 'rateLimits', name: 'weft.dev/rate-limits', limits: others });
  return filters;
}

const bucketOf = (limit: RateLimitSpec): TokenBucketSettings => ({
  tokensMax: limit.burst ?? limit.requests,
  tokensPerFill: limit.requests,
  fillIntervalMs: acceptedDurationMs(limit.per),
});

const rateLimit = (
  context: TranslateContext,
  policy: OverloadPolicy,
  name: string,
  limit: RateLimitSpec,
): RateLimit => ({
  name,
  matches: requestMatches(context, policy, limit.match),
  bucket: bucketOf(limit),
  key: limit.key && keyOf(limit.key),
  keysMax: limit.key?.maxKeys ?? 1,
  global: limit.scope === 'Global',
  status: limit.status,
  rateLimitHeaders: limit.headers,
});

function keyOf(key: NonNullable<RateLimitSpec['key']>): RateLimitKey {
  switch (key.by) {
    case 'Header':
      return { kind: 'header', name: (key.header ?? '').toLowerCase() };
    case 'Path':
      return { kind: 'path' };
    case 'Identity':
      return { kind: 'identity' };
  }
}

const requestMatches = (
  context: TranslateContext,
  policy: OverloadPolicy,
  matches: readonly Match[] | undefined,
): RequestMatch[] => (matches ?? []).map((match) => requestMatch(context, policy, match));

/** In the words of an AuthorizationPolicy, which mean the same. */
function requestMatch(context: TranslateContext, policy: OverloadPolicy, match: Match): RequestMatch {
  const { paths, methods, headers, principals, namespaces, serviceAccounts } = match;
  const permissions: readonly Permission[] = httpPermissions({
    ...(paths === undefined && methods === undefined
      ? {}
      : { to: [{ ...(paths && { paths }), ...(methods && { methods }) }] }),
    ...(headers && { when: headers.map(({ name, values }) => ({ header: name, values: values ?? ['*'] })) }),
  });
  const callers = principals ?? namespaces ?? serviceAccounts;
  const from = {
    ...(principals && { principals }),
    ...(namespaces && { namespaces }),
    ...(serviceAccounts && { serviceAccounts }),
  };
  return {
    permissions,
    principals: principalsOf(callers === undefined ? {} : { from: [from] }, principalContext(context, policy)),
  };
}

function admissionFilters(context: TranslateContext, pod: Pod, winners: OverloadWinners): HttpFilter[] {
  const concurrency = winners.concurrency?.spec.concurrency;
  if (concurrency === undefined) return [];
  const name = `${pod.metadata.namespace}/${pod.workload}`;
  const filters: HttpFilter[] = [];
  if (concurrency.adaptive !== undefined) {
    const gradient = gradientOf(concurrency.adaptive);
    filters.push({ kind: 'adaptiveConcurrency', name: 'weft.dev/adaptive-concurrency', gradient });
  }
  filters.push({
    kind: 'admission',
    name: 'weft.dev/admission',
    admission: {
      name,
      fixedLimit: concurrency.fixed,
      classes: classesOf(context, winners.priorities),
      queue: queueOf(winners.queue?.spec.queue ?? (winners.priorities && defaultQueue)),
    },
  });
  return filters;
}

const gradientOf = (adaptive: NonNullable<NonNullable<Spec['concurrency']>['adaptive']>): GradientSettings => ({
  limitMax: adaptive.maxLimit,
  limitMin: adaptive.minLimit,
  updateIntervalMs: acceptedDurationMs(adaptive.updateInterval),
  percentile: adaptive.percentile,
  minRttIntervalMs: acceptedDurationMs(adaptive.minRtt.interval),
  minRttSamples: adaptive.minRtt.samples,
  minRttJitterPercent: adaptive.minRtt.jitterPercent,
  bufferPercent: adaptive.minRtt.bufferPercent,
  status: 503,
});

/** The last one takes what no other does; it may be one of them. */
function classesOf(context: TranslateContext, policy: OverloadPolicy | undefined): PriorityClass[] {
  const priorities = policy?.spec.priorities;
  if (policy === undefined || priorities === undefined) return [{ ...defaultClass, matches: [] }];
  const classes = priorities.classes.map(({ name, match, weight }) => ({
    name,
    matches: requestMatches(context, policy, match),
    weight,
  }));
  if (classes.at(-1)?.matches.length === 0) return classes;
  const last = classes.find((one) => one.name === priorities.defaultClass) ?? defaultClass;
  return [...classes, { name: last.name, matches: [], weight: last.weight }];
}

const queueOf = (spec: Spec['queue']): QueueSettings =>
  spec === undefined
    ? noQueue
    : {
        lengthMax: spec.maxLength,
        waitMsMax: acceptedDurationMs(spec.maxWait),
        targetMs: acceptedDurationMs(spec.target),
        intervalMs: acceptedDurationMs(spec.interval),
      };
