import { asObject, asObjects, asString, asStrings, at, ensure, equal, type JsonObject, setDefault } from '../json.ts';
import { ensureMeta, isDeleting, nameOf } from '../object.ts';
import { compileCondition } from '../schema/cel-conditions.ts';
import { type Cause, duplicateValue, invalidValue, required, unsupportedValue } from '../status.ts';
import { immutable, isDns1123Subdomain } from './names.ts';
import { noStrategy, type Strategy } from './resource.ts';

/** Roles, bindings, webhook configurations, namespaces and the small core kinds. */
const rbacGroup = 'rbac.authorization.k8s.io';

export const roleStrategy: Strategy = {
  ...noStrategy,
  defaults: (role) => {
    if (role['rules'] === undefined) role['rules'] = null;
  },
  validate: (role) =>
    asObjects(role['rules']).flatMap((rule, index) => {
      const path = `rules[${index}]`;
      const causes: Cause[] = [];
      if (asStrings(rule['verbs']).length === 0)
        causes.push(required(`${path}.verbs`, 'verbs must contain at least one value'));
      const urls = asStrings(rule['nonResourceURLs']);
      if (urls.length > 0) {
        if (asStrings(rule['apiGroups']).length + asStrings(rule['resources']).length > 0) {
          causes.push(
            invalidValue(
              `${path}.nonResourceURLs`,
              urls,
              'rules cannot apply to both regular resources and non-resource URLs',
            ),
          );
        }
        return causes;
      }
      if (asStrings(rule['apiGroups']).length === 0) {
        causes.push(required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
      }
      if (asStrings(rule['resources']).length === 0) {
        causes.push(required(`${path}.resources`, 'resource rules must supply at least one resource'));
      }
      return causes;
    }),
};

export const bindingStrategy: Strategy = {
  ...noStrategy,
  defaults: (binding) => {
    const roleRef = ensure(binding, 'roleRef');
    if (asString(roleRef['apiGroup']) === '') roleRef['apiGroup'] = rbacGroup;
    for (const subject of asObjects(binding['subjects'])) {
      if (subject['kind'] !== 'ServiceAccount') setDefault(subject, 'apiGroup', rbacGroup);
      else if (subject['apiGroup'] === '') delete subject['apiGroup'];
    }
  },
  validate: (binding) => {
    const causes: Cause[] = [];
    const roleRef = asObject(binding['roleRef']) ?? {};
    if (asString(roleRef['name']) === '') causes.push(required('roleRef.name'));
    const kinds = at(binding, 'metadata', 'namespace') === undefined ? ['ClusterRole'] : ['Role', 'ClusterRole'];
    if (!kinds.includes(asString(roleRef['kind']))) {
      causes.push(unsupportedValue('roleRef.kind', roleRef['kind'], kinds));
    }
    for (const [index, subject] of asObjects(binding['subjects']).entries()) {
      if (!['User', 'Group', 'ServiceAccount'].includes(asString(subject['kind']))) {
        causes.push(unsupportedValue(`subjects[${index}].kind`, subject['kind'], ['Group', 'ServiceAccount', 'User']));
      }
      if (subject['kind'] === 'ServiceAccount' && asString(subject['namespace']) === '') {
        causes.push(required(`subjects[${index}].namespace`));
      }
    }
    return causes;
  },
  validateUpdate: (binding, old) =>
    equal(binding['roleRef'], old['roleRef'])
      ? []
      : [invalidValue('roleRef', binding['roleRef'], 'cannot change roleRef')],
};

export const webhookStrategy = (mutating: boolean): Strategy => ({
  ...noStrategy,
  defaults: (configuration) => {
    for (const webhook of asObjects(configuration['webhooks'])) {
      setDefault(webhook, 'failurePolicy', 'Fail');
      setDefault(webhook, 'matchPolicy', 'Equivalent');
      setDefault(webhook, 'namespaceSelector', {});
      setDefault(webhook, 'objectSelector', {});
      setDefault(webhook, 'timeoutSeconds', 10);
      if (mutating) setDefault(webhook, 'reinvocationPolicy', 'Never');
      for (const rule of asObjects(webhook['rules'])) setDefault(rule, 'scope', '*');
      const service = asObject(at(webhook, 'clientConfig', 'service'));
      if (service !== undefined) setDefault(service, 'port', 443);
    }
  },
  validate: (configuration) => {
    const webhooks = asObjects(configuration['webhooks']);
    return [
      ...repeatedNames(webhooks, 'webhooks'),
      ...webhooks.flatMap(validateWebhook),
      ...webhooks.flatMap((webhook, index) =>
        repeatedNames(asObjects(webhook['matchConditions']), `webhooks[${index}].matchConditions`),
      ),
    ];
  },
});

function repeatedNames(items: readonly JsonObject[], path: string): Cause[] {
  const names = items.map((item) => asString(item['name']));
  return names.flatMap((name, index) =>
    names.indexOf(name) < index ? [duplicateValue(`${path}[${index}].name`, name)] : [],
  );
}

function validateWebhook(webhook: JsonObject, index: number): Cause[] {
  const path = `webhooks[${index}]`;
  const causes: Cause[] = [];
  const name = asString(webhook['name']);
  if (!isDns1123Subdomain(name) || name.split('.').length < 3) {
    causes.push(
      invalidValue(`${path}.name`, name, 'should be a domain with at least three segments separated by dots'),
    );
  }
  const versions = asStrings(webhook['admissionReviewVersions']);
  if (!versions.includes('v1')) {
    causes.push(invalidValue(`${path}.admissionReviewVersions`, versions, 'must include at least one of v1'));
  }
  if (!['None', 'NoneOnDryRun'].includes(asString(webhook['sideEffects']))) {
    causes.push(unsupportedValue(`${path}.sideEffects`, webhook['sideEffects'], ['None', 'NoneOnDryRun']));
  }
  if (!['Fail', 'Ignore'].includes(asString(webhook['failurePolicy']))) {
    causes.push(unsupportedValue(`${path}.failurePolicy`, webhook['failurePolicy'], ['Fail', 'Ignore']));
  }
  const timeout = webhook['timeoutSeconds'];
  if (typeof timeout === 'number' && (timeout < 1 || timeout > 30)) {
    causes.push(invalidValue(`${path}.timeoutSeconds`, timeout, 'the timeout value must be between 1 and 30 seconds'));
  }
  const client = asObject(webhook['clientConfig']) ?? {};
  if ((client['url'] === undefined) === (client['service'] === undefined)) {
    causes.push(required(`${path}.clientConfig`, 'exactly one of url or service is required'));
  }
  if (typeof client['url'] === 'string' && !client['url'].startsWith('https://')) {
    causes.push(invalidValue(`${path}.clientConfig.url`, client['url'], "'https' is the only allowed URL scheme"));
  }
  for (const [at, condition] of asObjects(webhook['matchConditions']).entries()) {
    const problem = compileCondition(asString(condition['expression']));
    if (problem !== undefined) {
      causes.push(
        invalidValue(
          `${path}.matchConditions[${at}].expression`,
          condition['expression'],
          `compilation failed: ${problem}`,
        ),
      );
    }
  }
  return causes;
}

export const namespaceStrategy: Strategy = {
  ...noStrategy,
  defaults: (namespace) => {
    // Selectors name namespaces by this label; users cannot change it (KEP-2161).
    ensure(ensureMeta(namespace), 'labels')['kubernetes.io/metadata.name'] = nameOf(namespace);
  },
  prepare: (namespace, old) => {
    if (old === undefined) {
      ensure(namespace, 'spec')['finalizers'] = ['kubernetes'];
      namespace['status'] = { phase: 'Active' };
    } else {
      namespace['spec'] = old['spec'] ?? { finalizers: ['kubernetes'] };
      if (isDeleting(namespace)) ensure(namespace, 'status')['phase'] = 'Terminating';
    }
  },
};

export const networkPolicyStrategy: Strategy = {
  ...noStrategy,
  defaults: (policy) => {
    const spec = ensure(policy, 'spec');
    if (spec['policyTypes'] === undefined) {
      spec['policyTypes'] = spec['egress'] === undefined ? ['Ingress'] : ['Ingress', 'Egress'];
    }
    for (const side of ['ingress', 'egress']) {
      for (const rule of asObjects(spec[side])) {
        for (const port of asObjects(rule['ports'])) setDefault(port, 'protocol', 'TCP');
      }
    }
  },
};

export const leaseStrategy: Strategy = {
  ...noStrategy,
  validate: (lease) => {
    const duration = at(lease, 'spec', 'leaseDurationSeconds');
    return typeof duration === 'number' && duration <= 0
      ? [invalidValue('spec.leaseDurationSeconds', duration, 'must be greater than 0')]
      : [];
  },
};

export const eventStrategy: Strategy = {
  ...noStrategy,
  validate: (event) => {
    const involved = asString(at(event, 'involvedObject', 'namespace'));
    const namespace = asString(at(event, 'metadata', 'namespace'));
    // Events of objects without a namespace are kept in "default".
    if (involved === namespace || (involved === '' && namespace === 'default')) return [];
    return [invalidValue('involvedObject.namespace', involved, 'does not match event.namespace')];
  },
};

export const priorityClassStrategy: Strategy = {
  ...noStrategy,
  defaults: (object) => setDefault(object, 'preemptionPolicy', 'PreemptLowerPriority'),
  validateUpdate: (object, old) => (object['value'] === old['value'] ? [] : [immutable('value', object['value'])]),
};
