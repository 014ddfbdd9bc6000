import type { JsonObject } from '../json.ts';

/** Default roles and bindings, as the Kubernetes documentation lists them ("Default roles and role bindings"). */
/** Who the controllers and the scheduler are. */
export const controllersUser = 'system:weft:controllers';

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

const binding = (role: string, names: string[], kind: 'Group' | 'User' = 'Group'): JsonObject => ({
  apiVersion: `${group}/v1`,
  kind: 'ClusterRoleBinding',
  metadata: metadata(role),
  roleRef: { apiGroup: group, kind: 'ClusterRole', name: role },
  subjects: names.map((name) => ({ apiGroup: group, kind, name })),
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

/**
 * The node agent: its pods and what they mount, Services and endpoints for cluster DNS and ClusterIPs, its Node and Lease, Events.
 * That it touches only its own is checked in admission/node-restriction.ts.
 */
const nodeAgent = clusterRole('system:weft:node-agent', [
  rule([''], ['pods', 'services', 'configmaps', 'secrets'], read),
  rule([''], ['pods'], ['delete']),
  rule([''], ['pods/status'], ['patch']),
  rule([''], ['nodes'], ['create', 'patch']),
  rule([''], ['nodes/status'], ['patch']),
  rule([''], ['serviceaccounts/token'], ['create']),
  rule([''], ['events'], ['create', 'patch']),
  rule(['discovery.k8s.io'], ['endpointslices'], read),
  rule(['coordination.k8s.io'], ['leases'], ['create', 'patch']),
]);

/** Controllers and scheduler; of ServiceAccounts and ConfigMaps only those that every namespace gets. */
const controllers = clusterRole('system:weft:controllers', [
  rule([''], ['pods', 'services', 'endpoints', 'nodes', 'namespaces'], read),
  rule([''], ['pods'], ['create', 'patch', 'delete']),
  rule([''], ['pods/binding'], ['create']),
  rule([''], ['pods/status'], ['patch']),
  rule([''], ['endpoints'], ['create', 'update', 'delete']),
  rule(['discovery.k8s.io'], ['endpointslices'], [...read, 'create', 'update', 'delete']),
  rule(['apps'], ['deployments'], [...read, 'patch']),
  rule(['apps'], ['replicasets'], [...read, 'create', 'patch', 'delete']),
  rule(['apps'], ['deployments/status', 'replicasets/status'], ['patch']),
  rule(['batch'], ['jobs'], [...read, 'delete']),
  rule(['batch'], ['jobs/status'], ['patch']),
  rule([''], ['serviceaccounts', 'configmaps'], ['create']),
  { ...rule([''], ['serviceaccounts'], read), resourceNames: ['default'] },
  { ...rule([''], ['configmaps'], [...read, 'patch']), resourceNames: ['kube-root-ca.crt'] },
  rule([''], ['events'], ['create', 'patch']),
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
  controllers,
];

export const bootstrapBindings: readonly JsonObject[] = [
  binding('cluster-admin', ['system:masters']),
  binding('system:discovery', ['system:authenticated']),
  binding('system:basic-user', ['system:authenticated']),
  binding('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  binding('system:service-account-issuer-discovery', ['system:serviceaccounts']),
  binding('system:monitoring', ['system:monitoring']),
  binding('system:weft:node-agent', ['system:nodes']),
  binding('system:weft:controllers', [controllersUser], 'User'),
];
