import { asObject, asObjects, asString, asStrings, at, ensure, equal, type JsonObject, setDefault } from '../json.ts';
import { type Cause, duplicateValue, invalidValue, required, unsupportedValue } from '../status.ts';
import { immutable, labelProblem, validateLabels } from './names.ts';
import { noStrategy, type Strategy } from './resource.ts';

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'];

/** Addresses are given out by service-ips.ts, which needs the store. */
export const serviceStrategy: Strategy = {
  ...noStrategy,
  defaults: (service) => {
    const spec = ensure(service, 'spec');
    setDefault(spec, 'sessionAffinity', 'None');
    setDefault(spec, 'type', 'ClusterIP');
    for (const port of asObjects(spec['ports'])) {
      setDefault(port, 'protocol', 'TCP');
      if (port['targetPort'] === undefined || port['targetPort'] === 0 || port['targetPort'] === '') {
        port['targetPort'] = port['port'] ?? 0;
      }
    }
    const type = asString(spec['type']);
    if (type === 'NodePort' || type === 'LoadBalancer') setDefault(spec, 'externalTrafficPolicy', 'Cluster');
    if (type === 'LoadBalancer') setDefault(spec, 'allocateLoadBalancerNodePorts', true);
    if (type !== 'ExternalName') setDefault(spec, 'internalTrafficPolicy', 'Cluster');
    if (spec['sessionAffinity'] === 'ClientIP')
      setDefault(ensure(spec, 'sessionAffinityConfig', 'clientIP'), 'timeoutSeconds', 10800);
  },
  prepare: (service, old) => {
    if (old === undefined) service['status'] = { loadBalancer: {} };
  },
  validate: validateService,
  validateUpdate: (service, old) => {
    const before = asObject(old['spec']) ?? {};
    const now = asObject(service['spec']) ?? {};
    if (before['type'] === 'ExternalName' || now['type'] === 'ExternalName') return [];
    const causes: Cause[] = [];
    const primary = asStrings(before['clusterIPs'])[0];
    if (primary !== undefined && (now['clusterIP'] !== primary || asStrings(now['clusterIPs'])[0] !== primary)) {
      causes.push(immutable('spec.clusterIPs[0]', now['clusterIPs']));
    }
    if (!equal(asStrings(before['ipFamilies']).slice(0, 1), asStrings(now['ipFamilies']).slice(0, 1))) {
      causes.push(immutable('spec.ipFamilies[0]', now['ipFamilies']));
    }
    return causes;
  },
};

function validateService(service: JsonObject): Cause[] {
  const spec = asObject(service['spec']) ?? {};
  const causes: Cause[] = validateLabels(asObject(spec['selector']), 'spec.selector');
  const type = asString(spec['type']);
  if (!types.includes(type)) causes.push(unsupportedValue('spec.type', type, types));
  const ports = asObjects(spec['ports']);
  if (type === 'ExternalName') {
    if (asString(spec['externalName']) === '') causes.push(required('spec.externalName'));
  } else if (ports.length === 0 && spec['clusterIP'] !== 'None') causes.push(required('spec.ports'));
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const path = `spec.ports[${index}]`;
    causes.push(...validatePort(port, path, ports.length));
    const name = asString(port['name']);
    if (name !== '' && names.has(name)) causes.push(duplicateValue(`${path}.name`, name));
    names.add(name);
    const key = `${port['protocol']}/${port['port']}`;
    if (numbers.has(key)) {
      causes.push(duplicateValue(path, { port: port['port'], protocol: port['protocol'] }));
    }
    numbers.add(key);
  }
  if (!['None', 'ClientIP'].includes(asString(spec['sessionAffinity']))) {
    causes.push(unsupportedValue('spec.sessionAffinity', spec['sessionAffinity'], ['ClientIP', 'None']));
  }
  return causes;
}

function validatePort(port: JsonObject, path: string, count: number): Cause[] {
  const causes: Cause[] = [];
  const name = asString(port['name']);
  if (name === '' && count > 1) causes.push(required(`${path}.name`));
  if (name !== '') causes.push(...labelProblem(`${path}.name`, name));
  const number = port['port'];
  if (typeof number !== 'number') causes.push(required(`${path}.port`));
  else if (number < 1 || number > 65535) {
    causes.push(invalidValue(`${path}.port`, number, 'must be between 1 and 65535, inclusive'));
  }
  if (!['TCP', 'UDP', 'SCTP'].includes(asString(port['protocol']))) {
    causes.push(unsupportedValue(`${path}.protocol`, port['protocol'], ['SCTP', 'TCP', 'UDP']));
  }
  const target = at(port, 'targetPort');
  if (typeof target === 'number' && (target < 1 || target > 65535)) {
    causes.push(invalidValue(`${path}.targetPort`, target, 'must be between 1 and 65535, inclusive'));
  }
  return causes;
}
