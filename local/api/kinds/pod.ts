import {
  asObject,
  asObjects,
  asString,
  at,
  clone,
  ensure,
  equal,
  type Json,
  type JsonObject,
  setDefault,
} from '../json.ts';
import { type Cause, duplicateValue, forbiddenField, invalidValue, required, unsupportedValue } from '../status.ts';
import { labelProblem } from './names.ts';
import { defaultPodSpec, qosClassOf } from './pod-defaults.ts';
import { noStrategy, type Strategy } from './resource.ts';

export const podStrategy: Strategy = {
  ...noStrategy,
  defaults: (pod) => {
    const spec = ensure(pod, 'spec');
    defaultPodSpec(spec);
    setDefault(spec, 'enableServiceLinks', true);
    if (spec['hostNetwork'] === true) {
      for (const container of asObjects(spec['containers'])) {
        for (const port of asObjects(container['ports'])) setDefault(port, 'hostPort', port['containerPort'] ?? 0);
      }
    }
  },
  prepare: (pod, old) => {
    if (old !== undefined) return;
    const spec = ensure(pod, 'spec');
    pod['status'] = { phase: 'Pending', qosClass: qosClassOf(spec) };
  },
  validate: (pod) => validatePodSpec(asObject(pod['spec']) ?? {}, 'spec'),
  validateUpdate: (pod, old) => {
    // Everything but images, the deadline, added tolerations and scheduling gates of a pod is fixed at creation.
    const comparable = (source: JsonObject): JsonObject => {
      const spec = clone(asObject(source['spec']) ?? {});
      for (const list of ['containers', 'initContainers', 'ephemeralContainers']) {
        for (const container of asObjects(spec[list])) {
          delete container['image'];
          delete container['resources'];
        }
      }
      const free = ['activeDeadlineSeconds', 'tolerations', 'ephemeralContainers', 'schedulingGates', 'nodeName'];
      for (const name of [...free, 'terminationGracePeriodSeconds', 'serviceAccount']) delete spec[name];
      return spec;
    };
    const causes: Cause[] = [];
    if (!equal(comparable(pod), comparable(old))) {
      causes.push(
        forbiddenField(
          'spec',
          'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
        ),
      );
    }
    const node = asString(at(old, 'spec', 'nodeName'));
    if (node !== '' && asString(at(pod, 'spec', 'nodeName')) !== node) {
      causes.push(invalidValue('spec.nodeName', at(pod, 'spec', 'nodeName') ?? '', 'field is immutable'));
    }
    return causes;
  },
};

const restartPolicies = ['Always', 'OnFailure', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];

export function validatePodSpec(spec: JsonObject, path: string): Cause[] {
  const causes: Cause[] = [];
  const containers = asObjects(spec['containers']);
  if (containers.length === 0) causes.push(required(`${path}.containers`));
  const volumes = new Set<string>();
  for (const [index, volume] of asObjects(spec['volumes']).entries()) {
    const at = `${path}.volumes[${index}]`;
    const name = asString(volume['name']);
    if (name === '') causes.push(required(`${at}.name`));
    else causes.push(...labelProblem(`${at}.name`, name));
    if (volumes.has(name)) causes.push(duplicateValue(`${at}.name`, name));
    volumes.add(name);
    const sources = Object.keys(volume).filter((key) => key !== 'name');
    if (sources.length > 1)
      causes.push(forbiddenField(`${at}.${sources[1]}`, 'may not specify more than 1 volume type'));
  }
  const names = new Set<string>();
  for (const list of ['initContainers', 'containers']) {
    for (const [index, container] of asObjects(spec[list]).entries()) {
      causes.push(
        ...validateContainer(container, `${path}.${list}[${index}]`, names, volumes, list === 'initContainers'),
      );
    }
  }
  if (!restartPolicies.includes(asString(spec['restartPolicy']))) {
    causes.push(unsupportedValue(`${path}.restartPolicy`, spec['restartPolicy'], restartPolicies));
  }
  if (!dnsPolicies.includes(asString(spec['dnsPolicy']))) {
    causes.push(unsupportedValue(`${path}.dnsPolicy`, spec['dnsPolicy'], dnsPolicies));
  }
  causes.push(...repeated(spec['topologySpreadConstraints'], `${path}.topologySpreadConstraints`, spreadKeys));
  causes.push(...repeated(spec['schedulingGates'], `${path}.schedulingGates`, ['name']));
  causes.push(...repeated(spec['resourceClaims'], `${path}.resourceClaims`, ['name']));
  return causes;
}

const spreadKeys = ['topologyKey', 'whenUnsatisfiable'];

/** Of the lists that merge by a key, Kubernetes refuses a repeated one only in some; env, ports and pull secrets may repeat. */
function repeated(list: Json | undefined, path: string, keys: readonly string[]): Cause[] {
  const seen = new Set<string>();
  const causes: Cause[] = [];
  for (const [index, item] of asObjects(list).entries()) {
    const values = keys.map((key) => asString(item[key]));
    const identity = JSON.stringify(values);
    if (seen.has(identity)) causes.push(duplicateValue(`${path}[${index}]`, values.join('/')));
    seen.add(identity);
  }
  return causes;
}

function validateContainer(
  container: JsonObject,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
  isInit: boolean,
): Cause[] {
  const causes: Cause[] = [];
  const name = asString(container['name']);
  if (name === '') causes.push(required(`${path}.name`));
  else causes.push(...labelProblem(`${path}.name`, name));
  if (name !== '' && names.has(name)) causes.push(duplicateValue(`${path}.name`, name));
  names.add(name);
  if (asString(container['image']) === '') causes.push(required(`${path}.image`));
  const portNames = new Set<string>();
  for (const [index, port] of asObjects(container['ports']).entries()) {
    causes.push(...validateContainerPort(port, `${path}.ports[${index}]`, portNames));
  }
  const mountPaths = new Set<string>();
  for (const [index, mount] of asObjects(container['volumeMounts']).entries()) {
    const mountPath = asString(mount['mountPath']);
    if (mountPaths.has(mountPath))
      causes.push(invalidValue(`${path}.volumeMounts[${index}].mountPath`, mountPath, 'must be unique'));
    mountPaths.add(mountPath);
    const volume = asString(mount['name']);
    if (!volumes.has(volume))
      causes.push({
        reason: 'FieldValueNotFound',
        message: `Not found: ${JSON.stringify(volume)}`,
        field: `${path}.volumeMounts[${index}].name`,
      });
    if (asString(mount['mountPath']) === '') causes.push(required(`${path}.volumeMounts[${index}].mountPath`));
  }
  for (const [index, variable] of asObjects(container['env']).entries()) {
    if (asString(variable['name']) === '') causes.push(required(`${path}.env[${index}].name`));
    if (variable['valueFrom'] !== undefined && asString(variable['value']) !== '') {
      causes.push(
        invalidValue(`${path}.env[${index}].valueFrom`, '', 'may not be specified when `value` is not empty'),
      );
    }
  }
  if (isInit && container['restartPolicy'] !== undefined && container['restartPolicy'] !== 'Always') {
    causes.push(unsupportedValue(`${path}.restartPolicy`, container['restartPolicy'], ['Always']));
  }
  if (isInit && container['restartPolicy'] !== 'Always') {
    for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe', 'lifecycle']) {
      if (container[field] !== undefined) {
        causes.push(
          forbiddenField(`${path}.${field}`, 'may not be set for init containers without restartPolicy=Always'),
        );
      }
    }
  }
  return causes;
}

function validateContainerPort(port: JsonObject, path: string, names: Set<string>): Cause[] {
  const causes: Cause[] = [];
  const number = port['containerPort'];
  if (typeof number !== 'number') causes.push(required(`${path}.containerPort`));
  else if (number < 1 || number > 65535) {
    causes.push(invalidValue(`${path}.containerPort`, number, 'must be between 1 and 65535, inclusive'));
  }
  if (!['TCP', 'UDP', 'SCTP'].includes(asString(port['protocol']))) {
    causes.push(unsupportedValue(`${path}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']));
  }
  const name = asString(port['name']);
  if (name === '') return causes;
  if (name.length > 15 || !/^(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
    causes.push(
      invalidValue(`${path}.name`, name, 'must be no more than 15 characters, of lower case alphanumerics and -'),
    );
  }
  if (names.has(name)) causes.push(duplicateValue(`${path}.name`, name));
  names.add(name);
  return causes;
}
