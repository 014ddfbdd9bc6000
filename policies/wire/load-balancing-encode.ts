import { create, type DescMessage, type JsonObject, type MessageInitShape } from '@bufbuild/protobuf';
import { anyPack } from '@bufbuild/protobuf/wkt';
import { type Balancer, leastRequest, roundRobin, type SlowStart, type ZoneAware } from '../model/balancer.ts';
import type { Cluster } from '../model/cluster.ts';
import {
  type ClusterSchema,
  Cluster_LbPolicy as LbPolicy,
  type LoadBalancingPolicy_PolicySchema,
} from './gen/envoy/config/cluster/v3/cluster_pb.ts';
import { ClientSideWeightedRoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/client_side_weighted_round_robin/v3/client_side_weighted_round_robin_pb.ts';
import { LeastRequestSchema } from './gen/envoy/extensions/load_balancing_policies/least_request/v3/least_request_pb.ts';
import { MaglevSchema } from './gen/envoy/extensions/load_balancing_policies/maglev/v3/maglev_pb.ts';
import { RandomSchema } from './gen/envoy/extensions/load_balancing_policies/random/v3/random_pb.ts';
import { RingHashSchema } from './gen/envoy/extensions/load_balancing_policies/ring_hash/v3/ring_hash_pb.ts';
import { RoundRobinSchema } from './gen/envoy/extensions/load_balancing_policies/round_robin/v3/round_robin_pb.ts';
import { TypedStructSchema } from './gen/xds/type/v3/typed_struct_pb.ts';
import { encodeDuration } from './values.ts';

type Init = Pick<
  MessageInitShape<typeof ClusterSchema>,
  'lbPolicy' | 'lbConfig' | 'loadBalancingPolicy' | 'commonLbConfig'
>;
type Policy = MessageInitShape<typeof LoadBalancingPolicy_PolicySchema>;

/** Our own entry of a policy list: nobody else knows the type, and takes the entry after it. */
export const OWN_POLICY = 'type.googleapis.com/weft.v1.LoadBalancing';

/** Envoy asks for the name of a setting that could change the value at run time. */
const AGGRESSION_KEY = 'weft.slow_start.aggression';

/** In Envoy's plain fields what they can say, else as a list of policies of which each reader takes the first it knows. */
export function encodeBalancing(cluster: Cluster): Init {
  const { balancer, healthyPanicPercent, zoneAware } = cluster;
  const commonLbConfig = {
    healthyPanicThreshold: { value: healthyPanicPercent },
    ignoreNewHostsUntilFirstHc: cluster.healthCheck?.initially === 'ignored',
  };
  if (choosesItself(cluster)) return { lbPolicy: LbPolicy.CLUSTER_PROVIDED, commonLbConfig };
  const hashes = balancer.kind === 'ring-hash' || balancer.kind === 'maglev';
  if (cluster.subset === undefined || hashes) {
    const plain = encodePlain(balancer);
    if (plain !== undefined) return { ...plain, commonLbConfig: { ...commonLbConfig, ...commonZoneAware(zoneAware) } };
  }
  const own = isOwn(cluster) ? [encodeOwn(cluster)] : [];
  const others = fallbacks(balancer).map((one) => encodeExtension(one, zoneAware));
  return { loadBalancingPolicy: { policies: [...own, ...others] }, commonLbConfig };
}

/** The connection or the request names its one host: there is nothing to balance. */
const choosesItself = ({ discovery }: Cluster): boolean =>
  discovery.kind === 'original-dst' || discovery.kind === 'dynamic';

const isOwn = ({ balancer, subset, zoneAware }: Cluster): boolean =>
  balancer.kind === 'peak-ewma' ||
  subset !== undefined ||
  // Envoy's message has no place for zones.
  (balancer.kind === 'load-reported' && zoneAware !== undefined);

/** The last one is what gRPC knows. */
function fallbacks(balancer: Balancer): Balancer[] {
  switch (balancer.kind) {
    case 'peak-ewma':
      return [{ ...leastRequest, slowStart: balancer.slowStart }, roundRobin];
    case 'round-robin':
      return [balancer];
    default:
      return [balancer, roundRobin];
  }
}

function encodePlain(balancer: Balancer): Pick<Init, 'lbPolicy' | 'lbConfig'> | undefined {
  switch (balancer.kind) {
    case 'least-request':
      return {
        lbPolicy: LbPolicy.LEAST_REQUEST,
        lbConfig: {
          case: 'leastRequestLbConfig',
          value: { choiceCount: balancer.choices, ...encodeSlowStart(balancer.slowStart) },
        },
      };
    case 'round-robin':
      return {
        lbPolicy: LbPolicy.ROUND_ROBIN,
        ...(balancer.slowStart === undefined
          ? {}
          : { lbConfig: { case: 'roundRobinLbConfig', value: encodeSlowStart(balancer.slowStart) } }),
      };
    case 'random':
      return { lbPolicy: LbPolicy.RANDOM };
    case 'ring-hash':
      return {
        lbPolicy: LbPolicy.RING_HASH,
        lbConfig: {
          case: 'ringHashLbConfig',
          value: { minimumRingSize: BigInt(balancer.sizeMin), maximumRingSize: BigInt(balancer.sizeMax) },
        },
      };
    case 'maglev':
      return {
        lbPolicy: LbPolicy.MAGLEV,
        lbConfig: { case: 'maglevLbConfig', value: { tableSize: BigInt(balancer.tableSize) } },
      };
    case 'peak-ewma':
    case 'load-reported':
      return undefined;
  }
}

function encodeExtension(balancer: Balancer, zoneAware: ZoneAware | undefined): Policy {
  const zones = encodeZoneAware(zoneAware);
  switch (balancer.kind) {
    case 'least-request':
    case 'peak-ewma': {
      const choiceCount = balancer.kind === 'peak-ewma' ? 2 : balancer.choices;
      const value = { choiceCount, ...encodeSlowStart(balancer.slowStart), ...zones };
      return extension('envoy.load_balancing_policies.least_request', LeastRequestSchema, value);
    }
    case 'round-robin': {
      const value = { ...encodeSlowStart(balancer.slowStart), ...zones };
      return extension('envoy.load_balancing_policies.round_robin', RoundRobinSchema, value);
    }
    case 'random':
      return extension('envoy.load_balancing_policies.random', RandomSchema, zones);
    case 'ring-hash':
      return extension('envoy.load_balancing_policies.ring_hash', RingHashSchema, {
        minimumRingSize: BigInt(balancer.sizeMin),
        maximumRingSize: BigInt(balancer.sizeMax),
      });
    case 'maglev':
      return extension('envoy.load_balancing_policies.maglev', MaglevSchema, { tableSize: BigInt(balancer.tableSize) });
    case 'load-reported':
      return extension(
        'envoy.load_balancing_policies.client_side_weighted_round_robin',
        ClientSideWeightedRoundRobinSchema,
        {
          blackoutPeriod: encodeDuration(balancer.blackoutMs),
          weightExpirationPeriod: encodeDuration(balancer.expirationMs),
          weightUpdatePeriod: encodeDuration(balancer.updateMs),
          errorUtilizationPenalty: balancer.errorPenalty,
        },
      );
  }
}

const extension = <Desc extends DescMessage>(name: string, schema: Desc, value: MessageInitShape<Desc>): Policy => ({
  typedExtensionConfig: { name, typedConfig: anyPack(schema, create(schema, value)) },
});

const encodeSlowStart = (slowStart: SlowStart | undefined) =>
  slowStart === undefined
    ? {}
    : {
        slowStartConfig: {
          slowStartWindow: encodeDuration(slowStart.windowMs),
          aggression: { defaultValue: slowStart.aggression, runtimeKey: AGGRESSION_KEY },
          minWeightPercent: { value: slowStart.weightPercentMin },
        },
      };

const zoneAwareValue = (zoneAware: ZoneAware) => ({
  routingEnabled: { value: zoneAware.enabledPercent },
  minClusterSize: BigInt(zoneAware.endpointsMin),
});

const commonZoneAware = (zoneAware: ZoneAware | undefined) =>
  zoneAware === undefined
    ? {}
    : { localityConfigSpecifier: { case: 'zoneAwareLbConfig' as const, value: zoneAwareValue(zoneAware) } };

const encodeZoneAware = (zoneAware: ZoneAware | undefined) =>
  zoneAware === undefined ? {} : { localityLbConfig: commonZoneAware(zoneAware) };

function encodeOwn({ balancer, subset, zoneAware }: Cluster): Policy {
  const value: JsonObject = {
    ...ownBalancer(balancer),
    ...(subset === undefined ? {} : { subset: { size: subset.size } }),
    ...(zoneAware === undefined
      ? {}
      : { zone_aware: { enabled_percent: zoneAware.enabledPercent, endpoints_min: zoneAware.endpointsMin } }),
  };
  return extension('weft.dev/load-balancing', TypedStructSchema, { typeUrl: OWN_POLICY, value });
}

function ownBalancer(balancer: Balancer): JsonObject {
  switch (balancer.kind) {
    case 'peak-ewma':
      return { type: balancer.kind, decay_ms: balancer.decayMs, ...ownSlowStart(balancer.slowStart) };
    case 'least-request':
      return { type: balancer.kind, choices: balancer.choices, ...ownSlowStart(balancer.slowStart) };
    case 'round-robin':
      return { type: balancer.kind, ...ownSlowStart(balancer.slowStart) };
    case 'random':
      return { type: balancer.kind };
    case 'ring-hash':
    case 'maglev':
      // All clients have to find the same endpoint for the same key: these always go without subsets.
      return {};
    case 'load-reported':
      return {
        type: balancer.kind,
        blackout_ms: balancer.blackoutMs,
        expiration_ms: balancer.expirationMs,
        update_ms: balancer.updateMs,
        error_penalty: balancer.errorPenalty,
      };
  }
}

const ownSlowStart = (slowStart: SlowStart | undefined): JsonObject =>
  slowStart === undefined
    ? {}
    : {
        slow_start: {
          window_ms: slowStart.windowMs,
          aggression: slowStart.aggression,
          weight_percent_min: slowStart.weightPercentMin,
        },
      };

/** Beside the settings of the cluster: Envoy is told by its TCP proxy. */
export const encodeHashesSource = ({ balancer }: Cluster): JsonObject =>
  (balancer.kind === 'ring-hash' || balancer.kind === 'maglev') && balancer.hashesSource ? { hashes_source: true } : {};
