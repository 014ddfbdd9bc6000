import { isMessage } from '@bufbuild/protobuf';
import {
  type Balancer,
  leastRequest,
  MAGLEV_TABLE_SIZE,
  MAGLEV_TABLE_SIZE_MAX,
  RING_SIZE_MAX,
  RING_SIZE_MIN,
  random,
  SLOW_START_WEIGHT_PERCENT_MIN,
  type SlowStart,
  ZONE_ENDPOINTS_MIN,
  type ZoneAware,
} from '../model/balancer.ts';
import type { Cluster } from '../model/cluster.ts';
import type { At } from './decoding.ts';
import {
  type Cluster as ClusterMessage,
  Cluster_DiscoveryType as Discovery,
  Cluster_LbPolicy as LbPolicy,
  Cluster_RingHashLbConfig_HashFunction as RingHashFunction,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import type { RuntimeDouble } from './gen/envoy/config/core/v3/base_pb.ts';
import { ClientSideWeightedRoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts';
import type { LocalityLbConfig } from './gen/envoy/extensions/load_balancing_policies/common/v3/common_pb.ts';
import { LeastRequestSchema } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.ts';
import { MaglevSchema } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts';
import { RandomSchema } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.ts';
import { RingHashSchema } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts';
import { RoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.ts';
import type { Percent } from './gen/envoy/type/v3/percent_pb.ts';
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.ts';
import { OWN_POLICY } from './load-balancing-encode.ts';
import { decodeOwnBalancing } from './load-balancing-own.ts';
import { decodeDuration, StructReader } from './values.ts';

export type Balancing = Pick<Cluster, 'balancer' | 'subset' | 'zoneAware'>;

const PANIC_DEFAULT_PERCENT = 50;
const BLACKOUT_DEFAULT_MS = 10_000;
const EXPIRATION_DEFAULT_MS = 180_000;
const UPDATE_DEFAULT_MS = 1_000;
const UPDATE_MS_MIN = 100;
const CHOICES_MAX = 4_294_967_295;

export function decodeBalancing(
  message: ClusterMessage,
  hashesSource: boolean,
  at: At,
): Balancing & Pick<Cluster, 'healthyPanicPercent'> {
  const { clusterDiscoveryType: type, lbPolicy } = message;
  const healthyPanicPercent = decodePanic(message, at);
  // The connection names its one endpoint: there is nothing to choose.
  if (type.case === 'clusterType' || (type.case === 'type' && type.value === Discovery.ORIGINAL_DST)) {
    const kind = type.case === 'clusterType' ? 'dynamic_forward_proxy' : 'ORIGINAL_DST';
    if (lbPolicy !== LbPolicy.CLUSTER_PROVIDED || message.loadBalancingPolicy !== undefined) {
      at.field('lb_policy').fail(`has to be CLUSTER_PROVIDED for ${kind}`, undefined);
    }
    return { balancer: leastRequest, healthyPanicPercent };
  }
  const balancing = message.loadBalancingPolicy === undefined ? decodePlain(message, at) : decodeList(message, at);
  return { ...withSource(balancing, hashesSource), healthyPanicPercent };
}

const withSource = (balancing: Balancing, hashesSource: boolean): Balancing =>
  balancing.balancer.kind === 'ring-hash' || balancing.balancer.kind === 'maglev'
    ? { ...balancing, balancer: { ...balancing.balancer, hashesSource } }
    : balancing;

function decodePanic({ commonLbConfig }: ClusterMessage, at: At): number {
  const percent = commonLbConfig?.healthyPanicThreshold?.value ?? PANIC_DEFAULT_PERCENT;
  if (percent >= 0 && percent <= 100) return percent;
  return at.field('common_lb_config').field('healthy_panic_threshold').fail('has to be from 0 to 100', 0);
}

/** `lb_policy` with the one configuration that goes with it. */
function decodePlain({ lbPolicy, lbConfig, commonLbConfig }: ClusterMessage, at: At): Balancing {
  const specifier = commonLbConfig?.localityConfigSpecifier;
  const zones = at.field('common_lb_config').field('zone_aware_lb_config');
  const zoneAware = specifier?.case === 'zoneAwareLbConfig' ? decodeZoneAware(specifier.value, zones) : {};
  const config = <Case extends typeof lbConfig.case>(name: Case) => {
    if (lbConfig.case !== undefined && lbConfig.case !== name) {
      at.field('lb_policy').fail('the configuration beside it is for another policy', undefined);
    }
  };
  switch (lbPolicy) {
    case LbPolicy.LEAST_REQUEST: {
      config('leastRequestLbConfig');
      const value = lbConfig.case === 'leastRequestLbConfig' ? lbConfig.value : undefined;
      return { balancer: leastRequestOf(value, at.field('least_request_lb_config')), ...zoneAware };
    }
    case LbPolicy.ROUND_ROBIN: {
      config('roundRobinLbConfig');
      const value = lbConfig.case === 'roundRobinLbConfig' ? lbConfig.value : undefined;
      const slowStart = decodeSlowStart(value, at.field('round_robin_lb_config'));
      return { balancer: { kind: 'round-robin', slowStart }, ...zoneAware };
    }
    case LbPolicy.RANDOM:
      config(undefined);
      return { balancer: random, ...zoneAware };
    case LbPolicy.RING_HASH: {
      config('ringHashLbConfig');
      const value = lbConfig.case === 'ringHashLbConfig' ? lbConfig.value : undefined;
      if (value?.hashFunction === RingHashFunction.MURMUR_HASH_2) {
        at.field('ring_hash_lb_config').field('hash_function').fail('has to be XX_HASH', undefined);
      }
      return { balancer: ringHashOf(value, at.field('ring_hash_lb_config')), ...zoneAware };
    }
    case LbPolicy.MAGLEV: {
      config('maglevLbConfig');
      const value = lbConfig.case === 'maglevLbConfig' ? lbConfig.value : undefined;
      return { balancer: maglevOf(value, at.field('maglev_lb_config')), ...zoneAware };
    }
    default:
      return at.field('lb_policy').fail(`policy ${lbPolicy} is not supported by Weft`, { balancer: leastRequest });
  }
}

/** The first entry that is known counts. */
function decodeList({ loadBalancingPolicy: list, lbConfig, commonLbConfig }: ClusterMessage, at: At): Balancing {
  const here = at.field('load_balancing_policy');
  if (lbConfig.case !== undefined) here.fail('the configuration of an lb_policy is set as well', undefined);
  if (commonLbConfig?.localityConfigSpecifier.case !== undefined) {
    here.fail('common_lb_config.zone_aware_lb_config is set as well: it belongs into the policy', undefined);
  }
  for (const [i, { typedExtensionConfig: extension }] of (list?.policies ?? []).entries()) {
    const place = here.field('policies').index(i).field('typed_extension_config').field('typed_config');
    const any = extension?.typedConfig;
    const balancing = any && decodePolicy(at.decoding.unpack(any), place);
    if (balancing !== undefined) return balancing;
  }
  return here.fail('has no policy that Weft supports', { balancer: leastRequest });
}

function decodePolicy(config: ReturnType<At['decoding']['unpack']>, at: At): Balancing | undefined {
  if (isMessage(config, TypedStructSchema)) {
    if (config.typeUrl !== OWN_POLICY) return undefined;
    return decodeOwnBalancing(new StructReader(config.value ?? {}, at.field('value')));
  }
  if (isMessage(config, LeastRequestSchema)) {
    return { balancer: leastRequestOf(config, at), ...decodeLocality(config, at) };
  }
  if (isMessage(config, RoundRobinSchema)) {
    const balancer = { kind: 'round-robin', slowStart: decodeSlowStart(config, at) } as const;
    return { balancer, ...decodeLocality(config, at) };
  }
  if (isMessage(config, RandomSchema)) return { balancer: random, ...decodeLocality(config, at) };
  if (isMessage(config, RingHashSchema)) {
    // Zero is "default"; what is not xxHash is MurmurHash2.
    if (config.hashFunction > 1) at.field('hash_function').fail('has to be XX_HASH', undefined);
    return { balancer: ringHashOf(config, at) };
  }
  if (isMessage(config, MaglevSchema)) return { balancer: maglevOf(config, at) };
  if (isMessage(config, ClientSideWeightedRoundRobinSchema)) {
    const expirationMs = decodeDuration(
      config.weightExpirationPeriod,
      EXPIRATION_DEFAULT_MS,
      at.field('weight_expiration_period'),
    );
    const updateMs = decodeDuration(config.weightUpdatePeriod, UPDATE_DEFAULT_MS, at.field('weight_update_period'));
    const errorPenalty = config.errorUtilizationPenalty ?? 1;
    if (!(errorPenalty >= 0)) at.field('error_utilization_penalty').fail('has to be at least 0', undefined);
    return {
      balancer: {
        kind: 'load-reported',
        blackoutMs: decodeDuration(config.blackoutPeriod, BLACKOUT_DEFAULT_MS, at.field('blackout_period')),
        expirationMs,
        // As gRFC A58.
        updateMs: Math.max(UPDATE_MS_MIN, updateMs),
        errorPenalty,
      },
    };
  }
  return undefined;
}

function leastRequestOf(
  config:
    | { readonly choiceCount?: number | undefined; readonly slowStartConfig?: SlowStartMessage | undefined }
    | undefined,
  at: At,
): Balancer {
  const choices = config?.choiceCount ?? 2;
  if (choices < 2 || choices > CHOICES_MAX) at.field('choice_count').fail('has to be at least 2', undefined);
  return { kind: 'least-request', choices, slowStart: decodeSlowStart(config, at) };
}

function ringHashOf(
  config: { readonly minimumRingSize?: bigint | undefined; readonly maximumRingSize?: bigint | undefined } | undefined,
  at: At,
): Balancer {
  const sizeMin = Number(config?.minimumRingSize ?? RING_SIZE_MIN);
  const sizeMax = Number(config?.maximumRingSize ?? RING_SIZE_MAX);
  if (sizeMax > RING_SIZE_MAX) at.field('maximum_ring_size').fail(`is more than ${RING_SIZE_MAX}`, undefined);
  if (sizeMin > sizeMax) at.field('minimum_ring_size').fail('is more than maximum_ring_size', undefined);
  return { kind: 'ring-hash', sizeMin, sizeMax, hashesSource: false };
}

function maglevOf(config: { readonly tableSize?: bigint | undefined } | undefined, at: At): Balancer {
  const tableSize = Number(config?.tableSize ?? MAGLEV_TABLE_SIZE);
  const here = at.field('table_size');
  if (tableSize > MAGLEV_TABLE_SIZE_MAX) here.fail(`is more than ${MAGLEV_TABLE_SIZE_MAX}`, undefined);
  else if (!isPrime(tableSize)) here.fail('has to be a prime', undefined);
  return { kind: 'maglev', tableSize, hashesSource: false };
}

function isPrime(n: number): boolean {
  for (let i = 2; i * i <= n; i++) if (n % i === 0) return false;
  return n > 1;
}

/** Envoy has the same message twice. */
interface SlowStartMessage {
  readonly slowStartWindow?: Parameters<typeof decodeDuration>[0] | undefined;
  readonly aggression?: RuntimeDouble | undefined;
  readonly minWeightPercent?: Percent | undefined;
}

function decodeSlowStart(
  config: { readonly slowStartConfig?: SlowStartMessage | undefined } | undefined,
  at: At,
): SlowStart | undefined {
  const message = config?.slowStartConfig;
  if (message === undefined) return undefined;
  const here = at.field('slow_start_config');
  const windowMs = decodeDuration(message.slowStartWindow, 0, here.field('slow_start_window'));
  const aggression = message.aggression?.defaultValue ?? 1;
  const weightPercentMin = message.minWeightPercent?.value ?? SLOW_START_WEIGHT_PERCENT_MIN;
  if (!(aggression > 0)) here.field('aggression').fail('has to be more than 0', undefined);
  if (!(weightPercentMin >= 0 && weightPercentMin <= 100)) {
    here.field('min_weight_percent').fail('has to be from 0 to 100', undefined);
  }
  return windowMs === 0 ? undefined : { windowMs, aggression, weightPercentMin };
}

interface ZoneAwareMessage {
  readonly routingEnabled?: Percent | undefined;
  readonly minClusterSize?: bigint | undefined;
}

function decodeZoneAware(message: ZoneAwareMessage, at: At): { zoneAware: ZoneAware } {
  const enabledPercent = message.routingEnabled?.value ?? 100;
  if (!(enabledPercent >= 0 && enabledPercent <= 100)) {
    at.field('routing_enabled').fail('has to be from 0 to 100', undefined);
  }
  return { zoneAware: { enabledPercent, endpointsMin: Number(message.minClusterSize ?? ZONE_ENDPOINTS_MIN) } };
}

function decodeLocality(
  { localityLbConfig: config }: { readonly localityLbConfig?: LocalityLbConfig | undefined },
  at: At,
): Pick<Balancing, 'zoneAware'> {
  const specifier = config?.localityConfigSpecifier;
  if (specifier?.case !== 'zoneAwareLbConfig') return {};
  return decodeZoneAware(specifier.value, at.field('locality_lb_config').field('zone_aware_lb_config'));
}
