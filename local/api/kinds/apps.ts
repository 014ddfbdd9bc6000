import {
  asObject,
  asObjects,
  asString,
  at,
  ensure,
  equal,
  type Json,
  type JsonObject,
  setDefault,
  stringMap,
} from '../json.ts';
import { type Cause, invalidValue, required } from '../status.ts';
import { labelSelectorOf, matchesLabels } from '../store/selectors.ts';
import { immutable, isDns1123Subdomain, labelProblem, validateLabels } from './names.ts';
import { validatePodSpec } from './pod.ts';
import { defaultPodTemplate } from './pod-defaults.ts';
import { noStrategy, type Strategy } from './resource.ts';

function validateWorkload(object: JsonObject, selectorRequired: boolean): Cause[] {
  const spec = asObject(object['spec']) ?? {};
  const causes: Cause[] = [];
  const template = asObject(spec['template']);
  if (template === undefined) return [required('spec.template')];
  const templateLabels = stringMap(at(template, 'metadata', 'labels'));
  causes.push(...validateLabels(asObject(at(template, 'metadata', 'labels')), 'spec.template.metadata.labels'));
  if (selectorRequired) {
    const selector = labelSelectorOf(spec['selector']);
    if (spec['selector'] === undefined) causes.push(required('spec.selector'));
    else if (selector.length === 0) {
      causes.push(invalidValue('spec.selector', {}, 'empty selector is invalid for deployment'));
    } else if (!matchesLabels(selector, templateLabels)) {
      causes.push(
        invalidValue('spec.template.metadata.labels', templateLabels, '`selector` does not match template `labels`'),
      );
    }
  }
  const replicas = spec['replicas'];
  if (typeof replicas === 'number' && replicas < 0) {
    causes.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
  }
  causes.push(...validatePodSpec(asObject(template['spec']) ?? {}, 'spec.template.spec'));
  return causes;
}

function onlyAlways(object: JsonObject): Cause[] {
  const policy = at(object, 'spec', 'template', 'spec', 'restartPolicy');
  if (policy === 'Always') return [];
  return [
    {
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`,
      field: 'spec.template.spec.restartPolicy',
    },
  ];
}

const selectorImmutable = (object: JsonObject, old: JsonObject): Cause[] =>
  equal(at(object, 'spec', 'selector'), at(old, 'spec', 'selector'))
    ? []
    : [immutable('spec.selector', at(object, 'spec', 'selector'))];

const workload: Strategy = {
  ...noStrategy,
  validate: (object) => [...validateWorkload(object, true), ...onlyAlways(object)],
  validateUpdate: selectorImmutable,
};

export const deploymentStrategy: Strategy = {
  ...workload,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'replicas', 1);
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'progressDeadlineSeconds', 600);
    const strategy = ensure(spec, 'strategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', '25%');
      setDefault(rolling, 'maxSurge', '25%');
    }
    defaultPodTemplate(spec['template']);
  },
};

export const replicaSetStrategy: Strategy = {
  ...workload,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'replicas', 1);
    defaultPodTemplate(spec['template']);
  },
};

export const statefulSetStrategy: Strategy = {
  ...workload,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'replicas', 1);
    setDefault(spec, 'revisionHistoryLimit', 10);
    setDefault(spec, 'podManagementPolicy', 'OrderedReady');
    setDefault(spec, 'serviceName', '');
    const strategy = ensure(spec, 'updateStrategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') setDefault(ensure(strategy, 'rollingUpdate'), 'partition', 0);
    defaultPodTemplate(spec['template']);
  },
};

export const daemonSetStrategy: Strategy = {
  ...workload,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'revisionHistoryLimit', 10);
    const strategy = ensure(spec, 'updateStrategy');
    setDefault(strategy, 'type', 'RollingUpdate');
    if (strategy['type'] === 'RollingUpdate') {
      const rolling = ensure(strategy, 'rollingUpdate');
      setDefault(rolling, 'maxUnavailable', 1);
      setDefault(rolling, 'maxSurge', 0);
    }
    defaultPodTemplate(spec['template']);
  },
};

function defaultJobSpec(spec: JsonObject): void {
  setDefault(spec, 'backoffLimit', 6);
  setDefault(spec, 'completionMode', 'NonIndexed');
  setDefault(spec, 'suspend', false);
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) spec['completions'] = 1;
  setDefault(spec, 'parallelism', 1);
  setDefault(spec, 'manualSelector', false);
  defaultPodTemplate(spec['template']);
}

export const jobStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => defaultJobSpec(ensure(object, 'spec')),
  prepare: (object, old) => {
    const uid = asString(at(object, 'metadata', 'uid'));
    if (old !== undefined || at(object, 'spec', 'manualSelector') === true) return;
    // A job owns exactly the pods that carry its own UID (batch/v1 JobSpec.selector).
    const labels = ensure(object, 'spec', 'template', 'metadata', 'labels');
    labels['batch.kubernetes.io/controller-uid'] = uid;
    labels['batch.kubernetes.io/job-name'] = asString(at(object, 'metadata', 'name'));
    ensure(object, 'spec')['selector'] = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } };
  },
  validate: (object) => {
    const causes = validateWorkload(object, false);
    const policy = asString(at(object, 'spec', 'template', 'spec', 'restartPolicy'));
    if (policy !== 'OnFailure' && policy !== 'Never') {
      causes.push({
        reason: 'FieldValueNotSupported',
        message: `Required value: valid values: "OnFailure", "Never"`,
        field: 'spec.template.spec.restartPolicy',
      });
    }
    return causes;
  },
};

export const cronJobStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => {
    const spec = ensure(object, 'spec');
    setDefault(spec, 'concurrencyPolicy', 'Allow');
    setDefault(spec, 'suspend', false);
    setDefault(spec, 'successfulJobsHistoryLimit', 3);
    setDefault(spec, 'failedJobsHistoryLimit', 1);
    defaultPodTemplate(at(spec, 'jobTemplate', 'spec', 'template'));
  },
  validate: (object) => (asString(at(object, 'spec', 'schedule')) === '' ? [required('spec.schedule')] : []),
};

export const endpointSliceStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => {
    for (const port of asObjects(object['ports'])) {
      setDefault(port, 'name', '');
      setDefault(port, 'protocol', 'TCP');
    }
  },
  validate: (object) => {
    const type = asString(object['addressType']);
    if (type === '') return [required('addressType')];
    if (!['IPv4', 'IPv6', 'FQDN'].includes(type))
      return [invalidValue('addressType', type, 'must be IPv4, IPv6 or FQDN')];
    return asObjects(object['endpoints']).flatMap((endpoint, index) =>
      Array.isArray(endpoint['addresses']) && endpoint['addresses'].length > 0
        ? []
        : [required(`endpoints[${index}].addresses`, 'must contain at least 1 address')],
    );
  },
  validateUpdate: (object, old) =>
    object['addressType'] === old['addressType'] ? [] : [immutable('addressType', object['addressType'])],
};

/** ConfigMap and Secret: keys are file names, an immutable one stays as it is. */
export const configMapStrategy: Strategy = {
  ...noStrategy,
  validate: (object) => validateKeys(object, ['data', 'binaryData']),
  validateUpdate: (object, old) => immutableData(object, old, ['data', 'binaryData']),
};

export const secretStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => {
    setDefault(object, 'type', 'Opaque');
    const texts = stringMap(object['stringData']);
    if (object['stringData'] === undefined) return;
    const data = ensure(object, 'data');
    for (const [key, text] of Object.entries(texts)) data[key] = Buffer.from(text).toString('base64');
    delete object['stringData'];
  },
  validate: (object) => {
    const causes = validateKeys(object, ['data']);
    const needed: Record<string, string[]> = { 'kubernetes.io/tls': ['tls.crt', 'tls.key'] };
    for (const key of needed[asString(object['type'])] ?? []) {
      if (at(object, 'data', key) === undefined) causes.push(required(`data[${key}]`));
    }
    return causes;
  },
  validateUpdate: (object, old) => [
    ...(object['type'] === old['type'] ? [] : [immutable('type', object['type'])]),
    ...immutableData(object, old, ['data']),
  ],
};

function validateKeys(object: JsonObject, fields: readonly string[]): Cause[] {
  return fields.flatMap((field) =>
    Object.keys(asObject(object[field]) ?? {})
      .filter((key) => key.length > 253 || !/^[-._a-zA-Z0-9]+$/.test(key))
      .map((key) =>
        invalidValue(
          `${field}[${key}]`,
          key,
          "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        ),
      ),
  );
}

function immutableData(object: JsonObject, old: JsonObject, fields: readonly string[]): Cause[] {
  if (old['immutable'] !== true) return [];
  const changed = fields.filter((field) => !equal(object[field] as Json | undefined, old[field]));
  const causes = changed.map(
    (field): Cause => ({
      reason: 'FieldValueForbidden',
      message: 'Forbidden: field is immutable when `immutable` is set',
      field,
    }),
  );
  if (object['immutable'] !== true) {
    causes.push({
      reason: 'FieldValueForbidden',
      message: 'Forbidden: field is immutable when `immutable` is set',
      field: 'immutable',
    });
  }
  return causes;
}

export const ingressStrategy: Strategy = {
  ...noStrategy,
  validate: (object) =>
    asObjects(at(object, 'spec', 'rules')).flatMap((rule, index) => {
      const host = asString(rule['host']).replace(/^\*\./, '');
      return host === '' || isDns1123Subdomain(host) ? [] : labelProblem(`spec.rules[${index}].host`, host);
    }),
};
