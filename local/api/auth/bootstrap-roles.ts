import type { JsonObject } from '../json.ts';

/** Default roles and bindings, as the Kubernetes documentation lists them ("Default roles and role bindings"). */
const group = 'rbac.authorization.k8s.io';
const read = ['get', 'list', 'watch'];
const write = ['create', 'delete', 'deletecollection', 'patch', 'update'];
const everything = [...read, ...write];

const rule = (apiGroups: string[], resources: string[], verbs: string[]): JsonObject => ({
  apiGroups,
  resources,
  verbs,
});
const url = (nonResourceURLs: string[], verbs = ['get']): JsonObject => ({ nonResourceURLs, verbs });

const labels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const metadata = (name: string): JsonObject => ({
  name,
  labels,
  annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
});

const clusterRole = (name: string, rules: JsonObject[]): JsonObject => ({
  apiVersion: `${group}/v1`,
  kind: 'ClusterRole',
  metadata: metadata(name),
  rules,
});

/** A user-facing role: its own rules, and those of every role with the label (`aggregate-to-view`). */
function aggregatedRole(name: string, rules: JsonObject[]): JsonObject[] {
  const label = `rbac.authorization.k8s.io/aggregate-to-${name}`;
  const base = clusterRole(`system:aggregate-to-${name}`, rules);
  return [
    { ...base, metadata: { ...metadata(`system:aggregate-to-${name}`), labels: { ...labels, [label]: 'true' } } },
    { ...clusterRole(name, []), aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [label]: 'true' } }] } },
  ];
}

const binding = (role: string, groups: string[]): JsonObject => ({
  apiVersion: `${group}/v1`,
  kind: 'ClusterRoleBinding',
  metadata: metadata(role),
  roleRef: { apiGroup: group, kind: 'ClusterRole', name: role },
  subjects: groups.map((name) => ({ apiGroup: group, kind: 'Group', name })),
});

const apps = ['deployments', 'replicasets', 'statefulsets', 'daemonsets'];
const scales = ['deployments/scale', 'replicasets/scale', 'statefulsets/scale'];
const viewRules: JsonObject[] = [
  rule([''], ['configmaps', 'endpoints', 'persistentvolumeclaims', 'pods', 'services', 'serviceaccounts'], read),
  rule(
    [''],
    [
      'pods/log',
      'pods/status',
      'services/status',
      'namespaces',
      'namespaces/status',
      'events',
      'limitranges',
      'resourcequotas',
    ],
    read,
  ),
  rule(['discovery.k8s.io'], ['endpointslices'], read),
  rule(['apps'], [...apps, ...scales, ...apps.map((name) => `${name}/status`), 'controllerrevisions'], read),
  rule(['batch'], ['jobs', 'cronjobs', 'jobs/status', 'cronjobs/status'], read),
  rule(['autoscaling'], ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'], read),
  rule(['policy'], ['poddisruptionbudgets', 'poddisruptionbudgets/status'], read),
  rule(['networking.k8s.io'], ['ingresses', 'ingresses/status', 'networkpolicies'], read),
  rule(['coordination.k8s.io'], ['leases'], read),
];
const editRules: JsonObject[] = [
  ...viewRules,
  rule([''], ['secrets'], read),
  rule(
    [''],
    ['configmaps', 'endpoints', 'events', 'persistentvolumeclaims', 'pods', 'secrets', 'services', 'serviceaccounts'],
    write,
  ),
  rule([''], ['serviceaccounts/token', 'pods/eviction'], ['create']),
  rule([''], ['pods/proxy', 'services/proxy'], everything),
  rule([''], ['serviceaccounts'], ['impersonate']),
  rule(['apps'], [...apps, ...scales], write),
  rule(['batch'], ['jobs', 'cronjobs'], write),
  rule(['autoscaling'], ['horizontalpodautoscalers'], write),
  rule(['policy'], ['poddisruptionbudgets'], write),
  rule(['networking.k8s.io'], ['ingresses', 'networkpolicies'], write),
  rule(['discovery.k8s.io'], ['endpointslices'], write),
  rule(['coordination.k8s.io'], ['leases'], write),
];

/** The node agent: its pods and what they mount, its Node and Lease, Events. */
const nodeAgent = clusterRole('system:weft:node-agent', [
  rule(
    [''],
    ['pods', 'services', 'nodes', 'namespaces', 'endpoints', 'configmaps', 'secrets', 'serviceaccounts'],
    read,
  ),
  rule([''], ['pods'], ['delete', 'create', 'patch']),
  rule([''], ['pods/status'], ['get', 'patch', 'update']),
  rule([''], ['pods/eviction'], ['create']),
  rule([''], ['nodes'], ['create', 'delete', 'patch', 'update']),
  rule([''], ['nodes/status'], ['patch', 'update']),
  rule([''], ['serviceaccounts/token'], ['create']),
  rule(['', 'events.k8s.io'], ['events'], ['create', 'patch', 'update']),
  rule(['discovery.k8s.io'], ['endpointslices'], read),
  rule(['coordination.k8s.io'], ['leases'], everything),
  rule(['authentication.k8s.io'], ['tokenreviews'], ['create']),
  rule(['authorization.k8s.io'], ['subjectaccessreviews'], ['create']),
]);

const discovery = [
  ...['/api', '/api/*', '/apis', '/apis/*', '/healthz', '/livez', '/readyz'],
  ...['/openapi', '/openapi/*', '/version', '/version/'],
];

export const bootstrapRoles: readonly JsonObject[] = [
  clusterRole('cluster-admin', [rule(['*'], ['*'], ['*']), url(['*'], ['*'])]),
  ...aggregatedRole('view', viewRules),
  ...aggregatedRole('edit', editRules),
  ...aggregatedRole('admin', [
    ...editRules,
    rule([group], ['roles', 'rolebindings'], everything),
    rule(['authorization.k8s.io'], ['localsubjectaccessreviews'], ['create']),
  ]),
  clusterRole('system:discovery', [url(discovery)]),
  clusterRole('system:public-info-viewer', [url(['/healthz', '/livez', '/readyz', '/version', '/version/'])]),
  clusterRole('system:service-account-issuer-discovery', [
    url(['/.well-known/openid-configuration', '/openid/v1/jwks']),
  ]),
  clusterRole('system:basic-user', [
    rule(['authorization.k8s.io'], ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'], ['create']),
    rule(['authentication.k8s.io'], ['selfsubjectreviews'], ['create']),
  ]),
  clusterRole('system:auth-delegator', [
    rule(['authentication.k8s.io'], ['tokenreviews'], ['create']),
    rule(['authorization.k8s.io'], ['subjectaccessreviews'], ['create']),
  ]),
  clusterRole('system:monitoring', [url(['/metrics', '/healthz', '/livez', '/readyz'])]),
  nodeAgent,
];

export const bootstrapBindings: readonly JsonObject[] = [
  binding('cluster-admin', ['system:masters']),
  binding('system:discovery', ['system:authenticated']),
  binding('system:basic-user', ['system:authenticated']),
  binding('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  binding('system:service-account-issuer-discovery', ['system:serviceaccounts']),
  binding('system:monitoring', ['system:monitoring']),
  binding('system:weft:node-agent', ['system:nodes']),
];
