/** How clients pick an endpoint, and by what of a request where they pick by hash. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import {
  type Balancer,
  type HashKey,
  leastRequest,
  MAGLEV_TABLE_SIZE,
  peakEwma,
  RING_SIZE_MAX,
  RING_SIZE_MIN,
  roundRobin,
  type SlowStart,
} from '@weft/policies/model/balancer';
import type { Cluster } from '@weft/policies/model/cluster';
import type { MergedPolicy } from './policy.ts';

type Policy = NonNullable<MergedPolicy['loadBalancer']>;

type Balancing = Pick<Cluster, 'balancer' | 'subset' | 'zoneAware' | 'healthyPanicPercent'>;

export function balancingOf({ loadBalancer: policy }: MergedPolicy): Balancing {
  if (policy === undefined) return { balancer: peakEwma, healthyPanicPercent: 0 };
  const { subset, zoneAware } = policy;
  return {
    balancer: balancerOf(policy),
    ...(subset === undefined ? {} : { subset: { size: subset.size } }),
    ...(zoneAware === undefined
      ? {}
      : { zoneAware: { enabledPercent: zoneAware.enabledPercent, endpointsMin: zoneAware.minEndpoints } }),
    healthyPanicPercent: policy.panicThresholdPercent ?? 0,
  };
}

function balancerOf(policy: Policy): Balancer {
  const slowStart = slowStartOf(policy);
  switch (policy.type) {
    case 'PeakEWMA': {
      const decay = policy.peakEwma?.decay;
      return { ...peakEwma, ...(decay === undefined ? {} : { decayMs: acceptedDurationMs(decay) }), slowStart };
    }
    case 'LeastRequest':
      return { ...leastRequest, choices: policy.leastRequest?.choices ?? leastRequest.choices, slowStart };
    case 'RoundRobin':
      return { ...roundRobin, slowStart };
    case 'Random':
      return { kind: 'random' };
    case 'RingHash':
      return {
        kind: 'ring-hash',
        sizeMin: policy.ringHash?.minimumSize ?? RING_SIZE_MIN,
        sizeMax: policy.ringHash?.maximumSize ?? RING_SIZE_MAX,
        hashesSource: hashesSource(policy),
      };
    case 'Maglev':
      return { kind: 'maglev', tableSize: MAGLEV_TABLE_SIZE, hashesSource: hashesSource(policy) };
    case 'LoadReported':
      return loadReportedOf(policy.loadReported);
  }
}

/** Defaults as the schema's; a policy that leaves all of it out has none of them filled in. */
function loadReportedOf(settings: Policy['loadReported']): Balancer {
  return {
    kind: 'load-reported',
    blackoutMs: acceptedDurationMs(settings?.blackout ?? '10s'),
    expirationMs: acceptedDurationMs(settings?.expiration ?? '3m'),
    updateMs: acceptedDurationMs(settings?.updatePeriod ?? '1s'),
    errorPenalty: (settings?.errorPenaltyPercent ?? 100) / 100,
  };
}

const hashesSource = ({ hashKeys }: Policy): boolean => hashKeys?.some(({ source }) => source === 'IP') ?? false;

function slowStartOf({ slowStart }: Policy): SlowStart | undefined {
  if (slowStart === undefined) return undefined;
  return {
    windowMs: acceptedDurationMs(slowStart.window),
    aggression: slowStart.aggressionPercent / 100,
    weightPercentMin: slowStart.minWeightPercent,
  };
}

/**
 * Of the policies of all clusters that a route sends to: keys belong to the route in Envoy's API, and a request has one
 * hash, so that the first cluster that picks by one decides.
 */
export function hashKeysOf(policies: readonly MergedPolicy[]): { readonly hashKeys?: readonly HashKey[] } {
  const keys = policies.find(({ loadBalancer }) => loadBalancer?.hashKeys !== undefined)?.loadBalancer?.hashKeys;
  return keys === undefined ? {} : { hashKeys: keys.map(hashKeyOf) };
}

function hashKeyOf(key: NonNullable<Policy['hashKeys']>[number]): HashKey {
  const { terminal, header, cookie, queryParameter } = key;
  if (header !== undefined) return { kind: 'header', name: header.toLowerCase(), terminal };
  if (queryParameter !== undefined) return { kind: 'query', name: queryParameter, terminal };
  if (cookie === undefined) return { kind: 'source-ip', terminal };
  const ttlMs = cookie.ttl === undefined ? undefined : acceptedDurationMs(cookie.ttl);
  return { kind: 'cookie', name: cookie.name, ttlMs, path: cookie.path ?? '', terminal };
}
