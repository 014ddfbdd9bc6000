import { asObject, asObjects, asString, asStrings, at, type JsonObject } from '../json.ts';
import { nameOf } from '../object.ts';
import type { Store } from '../store/store.ts';
import type { User } from './user.ts';

/** Role-based access as on Kubernetes: additive rules of roles bound in a namespace or in the whole cluster. */
export interface Attributes {
  readonly verb: string;
  readonly group: string;
  /** Empty for a path that is no resource. */
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly namespace: string;
  readonly path: string;
}

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

const group = 'rbac.authorization.k8s.io';

export function rulesOf(role: JsonObject | undefined): PolicyRule[] {
  return asObjects(role?.['rules']).map((rule) => ({
    verbs: asStrings(rule['verbs']),
    apiGroups: asStrings(rule['apiGroups']),
    resources: asStrings(rule['resources']),
    resourceNames: asStrings(rule['resourceNames']),
    nonResourceURLs: asStrings(rule['nonResourceURLs']),
  }));
}

const has = (list: readonly string[], value: string): boolean => list.includes('*') || list.includes(value);

function resourceMatches(rule: PolicyRule, resource: string, subresource: string): boolean {
  const full = subresource === '' ? resource : `${resource}/${subresource}`;
  return rule.resources.some(
    (item) => item === '*' || item === full || (subresource !== '' && item === `*/${subresource}`),
  );
}

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.resource === '') {
    return rule.nonResourceURLs.some(
      (url) =>
        url === '*' || url === attributes.path || (url.endsWith('*') && attributes.path.startsWith(url.slice(0, -1))),
    );
  }
  return (
    has(rule.apiGroups, attributes.group) &&
    resourceMatches(rule, attributes.resource, attributes.subresource) &&
    (rule.resourceNames.length === 0 || rule.resourceNames.includes(attributes.name))
  );
}

interface GrantedRule {
  readonly rule: PolicyRule;
  readonly reason: string;
}

export class Authorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  authorize(user: User, attributes: Attributes): Decision {
    if (user.groups.includes('system:masters')) return { allowed: true, reason: '' };
    for (const granted of this.rules(user, attributes.namespace)) {
      if (ruleAllows(granted.rule, attributes)) return { allowed: true, reason: granted.reason };
    }
    return { allowed: false, reason: '' };
  }

  /** Every rule that holds for a user in a namespace (cluster-wide ones included). */
  *rules(user: User, namespace: string): Generator<GrantedRule> {
    yield* this.#bound(user, 'clusterrolebindings', '');
    if (namespace !== '') yield* this.#bound(user, 'rolebindings', namespace);
  }

  *#bound(user: User, plural: string, namespace: string): Generator<GrantedRule> {
    for (const stored of this.#store.list(`${group}/${plural}`, namespace)) {
      const binding = stored.object;
      const subject = asObjects(binding['subjects']).find((item) => isSubject(item, user, namespace));
      if (subject === undefined) continue;
      const kind = plural === 'rolebindings' ? 'RoleBinding' : 'ClusterRoleBinding';
      const scope = namespace === '' ? '' : `/${namespace}`;
      const ref = `${asString(at(binding, 'roleRef', 'kind'))} "${asString(at(binding, 'roleRef', 'name'))}"`;
      const reason = `RBAC: allowed by ${kind} "${nameOf(binding)}${scope}" of ${ref} to ${asString(subject['kind'])} "${asString(subject['name'])}"`;
      for (const rule of rulesOf(this.roleOf(binding, namespace))) yield { rule, reason };
    }
  }

  roleOf(binding: JsonObject, namespace: string): JsonObject | undefined {
    const name = asString(at(binding, 'roleRef', 'name'));
    return at(binding, 'roleRef', 'kind') === 'Role'
      ? this.#store.get(`${group}/roles`, namespace, name)?.object
      : this.#aggregated(this.#store.get(`${group}/clusterroles`, '', name)?.object);
  }

  /** aggregationRule: the rules are those of all selected roles. */
  #aggregated(role: JsonObject | undefined): JsonObject | undefined {
    const selectors = asObjects(at(role, 'aggregationRule', 'clusterRoleSelectors'));
    if (role === undefined || selectors.length === 0) return role;
    const rules = this.#store
      .list(`${group}/clusterroles`)
      .filter((stored) => selectors.some((selector) => selectsRole(selector, stored.object)))
      .flatMap((stored) => asObjects(stored.object['rules']));
    return { ...role, rules };
  }

  /** Whether a user has every right of some rules: the condition for granting them. The first right lacking, or undefined. */
  lacking(user: User, namespace: string, wanted: readonly PolicyRule[]): PolicyRule | undefined {
    if (user.groups.includes('system:masters')) return undefined;
    const owned = [...this.rules(user, namespace)].map((granted) => granted.rule);
    return wanted.flatMap(single).find((need) => !owned.some((rule) => covers(rule, need)));
  }
}

function selectsRole(selector: JsonObject, role: JsonObject): boolean {
  const labels = at(role, 'metadata', 'labels');
  return Object.entries(asObject(at(selector, 'matchLabels')) ?? {}).every(([key, value]) => at(labels, key) === value);
}

function isSubject(subject: JsonObject, user: User, namespace: string): boolean {
  const name = asString(subject['name']);
  switch (subject['kind']) {
    case 'User':
      return user.name === name;
    case 'Group':
      return user.groups.includes(name);
    case 'ServiceAccount':
      return user.name === `system:serviceaccount:${asString(subject['namespace']) || namespace}:${name}`;
    default:
      return false;
  }
}

/** A rule as the list of its single rights. */
function single(rule: PolicyRule): PolicyRule[] {
  const names = rule.resourceNames.length === 0 ? [[]] : rule.resourceNames.map((name) => [name]);
  return rule.verbs.flatMap((verb) => [
    ...rule.nonResourceURLs.map((url) => ({
      verbs: [verb],
      apiGroups: [],
      resources: [],
      resourceNames: [],
      nonResourceURLs: [url],
    })),
    ...rule.apiGroups.flatMap((apiGroup) =>
      rule.resources.flatMap((resource) =>
        names.map((resourceNames) => ({
          verbs: [verb],
          apiGroups: [apiGroup],
          resources: [resource],
          resourceNames,
          nonResourceURLs: [],
        })),
      ),
    ),
  ]);
}

function covers(owned: PolicyRule, need: PolicyRule): boolean {
  if (!has(owned.verbs, need.verbs[0] ?? '')) return false;
  const url = need.nonResourceURLs[0];
  if (url !== undefined) {
    return owned.nonResourceURLs.some(
      (own) => own === '*' || own === url || (own.endsWith('*') && url.startsWith(own.slice(0, -1))),
    );
  }
  const [resource = '', subresource = ''] = (need.resources[0] ?? '').split('/');
  return (
    has(owned.apiGroups, need.apiGroups[0] ?? '') &&
    resourceMatches(owned, resource, subresource) &&
    (owned.resourceNames.length === 0 || need.resourceNames.every((name) => owned.resourceNames.includes(name))) &&
    (owned.resourceNames.length === 0 || need.resourceNames.length > 0)
  );
}
