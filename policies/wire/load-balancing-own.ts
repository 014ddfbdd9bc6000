import type { Balancer, SlowStart } from '../model/balancer.ts';
import type { Cluster } from '../model/cluster.ts';
import { DURATION_MS_MAX, type StructReader } from './values.ts';

const kinds = [
  'peak-ewma',
  'least-request',
  'round-robin',
  'random',
  'load-reported',
] as const satisfies readonly Balancer['kind'][];

const SUBSET_SIZE_MAX = 1_000_000;
const AGGRESSION_MIN = 0.000_001;
const NUMBER_MAX = Number.MAX_SAFE_INTEGER;

/** What Envoy's API has no words for, in the entry of a policy list that is ours. */
export function decodeOwnBalancing(reader: StructReader): Pick<Cluster, 'balancer' | 'subset' | 'zoneAware'> {
  const balancer = decodeBalancer(reader);
  const subset = reader.object('subset');
  const zones = reader.object('zone_aware');
  const balancing = {
    balancer,
    ...(subset === undefined ? {} : { subset: { size: subset.number('size', 1, SUBSET_SIZE_MAX) } }),
    ...(zones === undefined
      ? {}
      : {
          zoneAware: {
            enabledPercent: zones.number('enabled_percent', 0, 100),
            endpointsMin: zones.number('endpoints_min', 0, NUMBER_MAX),
          },
        }),
  };
  subset?.end();
  zones?.end();
  reader.end();
  return balancing;
}

function decodeBalancer(reader: StructReader): Balancer {
  const kind = reader.choice('type', kinds);
  switch (kind) {
    case 'peak-ewma':
      return { kind, decayMs: reader.number('decay_ms', 1, DURATION_MS_MAX), slowStart: decodeSlowStart(reader) };
    case 'least-request':
      return { kind, choices: reader.number('choices', 2, NUMBER_MAX), slowStart: decodeSlowStart(reader) };
    case 'round-robin':
      return { kind, slowStart: decodeSlowStart(reader) };
    case 'random':
      return { kind };
    case 'load-reported':
      return {
        kind,
        blackoutMs: reader.number('blackout_ms', 0, DURATION_MS_MAX),
        expirationMs: reader.number('expiration_ms', 0, DURATION_MS_MAX),
        updateMs: reader.number('update_ms', 1, DURATION_MS_MAX),
        errorPenalty: reader.number('error_penalty', 0, NUMBER_MAX),
      };
  }
}

function decodeSlowStart(reader: StructReader): SlowStart | undefined {
  const object = reader.object('slow_start');
  if (object === undefined) return undefined;
  const slowStart = {
    windowMs: object.number('window_ms', 1, DURATION_MS_MAX),
    aggression: object.number('aggression', AGGRESSION_MIN, NUMBER_MAX),
    weightPercentMin: object.number('weight_percent_min', 0, 100),
  };
  object.end();
  return slowStart;
}
