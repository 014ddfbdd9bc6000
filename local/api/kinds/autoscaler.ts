import {
  asNumber,
  asObject,
  asObjects,
  asString,
  at,
  clone,
  ensure,
  isObject,
  type Json,
  type JsonObject,
  parseJson,
  setDefault,
} from '../json.ts';
import { invalidValue, required } from '../status.ts';
import { noStrategy, type Strategy } from './resource.ts';

/**
 * HorizontalPodAutoscaler is stored as autoscaling/v2. The older v1, which `kubectl autoscale` up to 1.32 sends, knows one metric, the
 * CPU's utilization; what else there is travels in annotations, so that writing a v1 object back loses nothing.
 */
const kept = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
} as const;
const cpuPercentDefault = 80;

const cpuMetric = (percent: Json): JsonObject => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
});

function isCpuUtilization(metric: JsonObject): boolean {
  return at(metric, 'resource', 'name') === 'cpu' && at(metric, 'resource', 'target', 'type') === 'Utilization';
}

export function fromStoredAutoscaler(stored: JsonObject): JsonObject {
  const object = clone(stored);
  object['apiVersion'] = 'autoscaling/v1';
  const spec = ensure(object, 'spec');
  const metrics = asObjects(spec['metrics']);
  const cpu = metrics.find(isCpuUtilization);
  const others = metrics.filter((metric) => metric !== cpu);
  if (cpu !== undefined)
    spec['targetCPUUtilizationPercentage'] = at(cpu, 'resource', 'target', 'averageUtilization') ?? cpuPercentDefault;
  if (others.length > 0) ensure(object, 'metadata', 'annotations')[kept.metrics] = JSON.stringify(others);
  if (spec['behavior'] !== undefined)
    ensure(object, 'metadata', 'annotations')[kept.behavior] = JSON.stringify(spec['behavior']);
  delete spec['metrics'];
  delete spec['behavior'];
  const status = asObject(object['status']);
  if (status !== undefined) {
    const current = asObjects(status['currentMetrics']).find((metric) => at(metric, 'resource', 'name') === 'cpu');
    const percent = at(current, 'resource', 'current', 'averageUtilization');
    if (percent !== undefined) status['currentCPUUtilizationPercentage'] = percent;
    delete status['currentMetrics'];
    delete status['conditions'];
  }
  return object;
}

/** What an annotation keeps; text that is none of ours is left alone. */
function takeAnnotation(object: JsonObject, name: string): Json | undefined {
  const annotations = asObject(at(object, 'metadata', 'annotations'));
  const text = asString(annotations?.[name]);
  if (annotations === undefined || text === '') return undefined;
  try {
    const value = parseJson(text);
    if (!Array.isArray(value) && !isObject(value)) return undefined;
    delete annotations[name];
    if (Object.keys(annotations).length === 0) delete ensure(object, 'metadata')['annotations'];
    return value;
  } catch {
    return undefined;
  }
}

export function toStoredAutoscaler(wire: JsonObject): JsonObject {
  const object = clone(wire);
  object['apiVersion'] = 'autoscaling/v2';
  const spec = ensure(object, 'spec');
  const others = asObjects(takeAnnotation(object, kept.metrics));
  const behavior = asObject(takeAnnotation(object, kept.behavior));
  const percent = asNumber(spec['targetCPUUtilizationPercentage']);
  delete spec['targetCPUUtilizationPercentage'];
  const cpu = percent !== undefined || others.length === 0 ? [cpuMetric(percent ?? cpuPercentDefault)] : [];
  spec['metrics'] = [...cpu, ...others];
  if (behavior !== undefined) spec['behavior'] = behavior;
  const status = asObject(object['status']);
  if (status?.['currentCPUUtilizationPercentage'] !== undefined) {
    const current = { averageUtilization: status['currentCPUUtilizationPercentage'] };
    status['currentMetrics'] = [{ type: 'Resource', resource: { name: 'cpu', current } }];
    delete status['currentCPUUtilizationPercentage'];
  }
  return object;
}

export const autoscalerStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'minReplicas', 1);
    if (object['apiVersion'] === 'autoscaling/v2' && asObjects(spec['metrics']).length === 0)
      spec['metrics'] = [cpuMetric(cpuPercentDefault)];
  },
  validate: (object) => {
    const spec = asObject(object['spec']) ?? {};
    const [min, max] = [asNumber(spec['minReplicas']) ?? 1, asNumber(spec['maxReplicas']) ?? 0];
    return [
      ...(max < 1 ? [invalidValue('spec.maxReplicas', max, 'must be greater than 0')] : []),
      ...(min < 1 ? [invalidValue('spec.minReplicas', min, 'must be greater than or equal to 1')] : []),
      ...(max >= 1 && max < min
        ? [invalidValue('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`')]
        : []),
      ...['kind', 'name']
        .filter((field) => asString(at(spec, 'scaleTargetRef', field)) === '')
        .map((field) => required(`spec.scaleTargetRef.${field}`)),
    ];
  },
};
