import type { JsonObject } from '../json.ts';
import { builtinType } from '../schema/builtin.ts';
import { ageColumn, nameColumn } from '../table/cells.ts';
import { coreColumns } from '../table/core-columns.ts';
import * as workload from '../table/workload-columns.ts';
import * as apps from './apps.ts';
import { autoscalerStrategy, fromStoredAutoscaler, toStoredAutoscaler } from './autoscaler.ts';
import { definitionStrategy } from './definition-strategy.ts';
import { fromStoredEvent, toStoredEvent } from './events.ts';
import { podStrategy } from './pod.ts';
import * as kinds from './policy-kinds.ts';
import {
  allVerbs,
  type Column,
  noStrategy,
  type ResourceType,
  type ScalePaths,
  type Strategy,
  type SubresourceInfo,
  storageKey,
} from './resource.ts';
import { serviceStrategy } from './service.ts';

/** Every built-in resource, one line each. */
interface Options {
  readonly short?: readonly string[];
  readonly all?: boolean;
  readonly categories?: readonly string[];
  readonly cluster?: boolean;
  readonly noStatus?: boolean;
  readonly scale?: boolean;
  readonly fields?: readonly string[];
  readonly strategy?: Strategy;
  readonly columns?: readonly Column[];
  readonly subresources?: readonly SubresourceInfo[];
  readonly model?: string;
  readonly storage?: string;
  readonly fromStorage?: (object: JsonObject) => JsonObject;
  readonly toStorage?: (object: JsonObject) => JsonObject;
  readonly createOnly?: boolean;
}

const scalePaths: ScalePaths = {
  specReplicas: '.spec.replicas',
  statusReplicas: '.status.replicas',
  labelSelector: '.spec.selector',
};
const same = (object: JsonObject): JsonObject => object;

function singularOf(kind: string): string {
  return kind.toLowerCase();
}

function define(group: string, version: string, kind: string, plural: string, options: Options = {}): ResourceType {
  const defaultModel = `${version.charAt(0).toUpperCase()}${version.slice(1)}${kind}`;
  return {
    group,
    version,
    kind,
    listKind: `${kind}List`,
    plural,
    singular: singularOf(kind),
    shortNames: options.short ?? [],
    categories: options.categories ?? (options.all === true ? ['all'] : []),
    namespaced: options.cluster !== true,
    verbs: options.createOnly === true ? ['create'] : allVerbs,
    storage: options.storage ?? storageKey(group, plural),
    hasStatus: options.noStatus !== true,
    scale: options.scale === true ? scalePaths : undefined,
    subresources: options.subresources ?? [],
    schema: builtinType(options.model ?? defaultModel),
    columns: options.columns ?? coreColumns[plural] ?? [nameColumn, ageColumn],
    selectableFields: options.fields ?? [],
    strategy: options.strategy ?? noStrategy,
    custom: false,
    fromStorage: options.fromStorage ?? same,
    toStorage: options.toStorage ?? same,
  };
}

const sub = (name: string, kind: string, verbs: readonly string[], group = '', version = 'v1'): SubresourceInfo => ({
  name,
  kind,
  group,
  version,
  verbs,
});

const proxyVerbs = ['create', 'delete', 'get', 'patch', 'update'];
const plain: Options = { noStatus: true };
const review: Options = { noStatus: true, cluster: true, createOnly: true };
const eventFields = [
  ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
    (name) => `involvedObject.${name}`,
  ),
  ...['reason', 'reportingComponent', 'source', 'type'],
];

const core: readonly ResourceType[] = [
  define('', 'v1', 'Namespace', 'namespaces', {
    short: ['ns'],
    cluster: true,
    fields: ['status.phase'],
    strategy: kinds.namespaceStrategy,
    subresources: [sub('finalize', 'Namespace', ['update'])],
  }),
  define('', 'v1', 'Pod', 'pods', {
    short: ['po'],
    all: true,
    fields: [
      ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'spec.hostNetwork'],
      ...['status.phase', 'status.podIP', 'status.podIPs', 'status.nominatedNodeName'],
    ],
    strategy: podStrategy,
    columns: workload.podColumns,
    subresources: [
      sub('log', 'Pod', ['get']),
      sub('binding', 'Binding', ['create']),
      sub('eviction', 'Eviction', ['create'], 'policy'),
      sub('proxy', 'PodProxyOptions', proxyVerbs),
    ],
  }),
  define('', 'v1', 'Service', 'services', {
    short: ['svc'],
    all: true,
    fields: ['spec.clusterIP', 'spec.type'],
    strategy: serviceStrategy,
    subresources: [sub('proxy', 'ServiceProxyOptions', proxyVerbs)],
  }),
  define('', 'v1', 'Endpoints', 'endpoints', { ...plain, short: ['ep'] }),
  define('', 'v1', 'ConfigMap', 'configmaps', { ...plain, short: ['cm'], strategy: apps.configMapStrategy }),
  define('', 'v1', 'Secret', 'secrets', { ...plain, fields: ['type'], strategy: apps.secretStrategy }),
  define('', 'v1', 'ServiceAccount', 'serviceaccounts', {
    ...plain,
    short: ['sa'],
    subresources: [sub('token', 'TokenRequest', ['create'], 'authentication.k8s.io')],
  }),
  define('', 'v1', 'Event', 'events', {
    ...plain,
    short: ['ev'],
    fields: eventFields,
    strategy: kinds.eventStrategy,
    model: 'CoreV1Event',
  }),
  define('', 'v1', 'Node', 'nodes', { short: ['no'], cluster: true, fields: ['spec.unschedulable'] }),
  define('', 'v1', 'PersistentVolumeClaim', 'persistentvolumeclaims', { short: ['pvc'] }),
  define('', 'v1', 'PersistentVolume', 'persistentvolumes', { short: ['pv'], cluster: true }),
  define('', 'v1', 'LimitRange', 'limitranges', { ...plain, short: ['limits'] }),
  define('', 'v1', 'ResourceQuota', 'resourcequotas', { short: ['quota'] }),
];

const workloads: readonly ResourceType[] = [
  define('apps', 'v1', 'Deployment', 'deployments', {
    short: ['deploy'],
    all: true,
    scale: true,
    strategy: apps.deploymentStrategy,
    columns: workload.deploymentColumns,
  }),
  define('apps', 'v1', 'ReplicaSet', 'replicasets', {
    short: ['rs'],
    all: true,
    scale: true,
    fields: ['status.replicas'],
    strategy: apps.replicaSetStrategy,
    columns: workload.replicaSetColumns,
  }),
  define('apps', 'v1', 'StatefulSet', 'statefulsets', {
    short: ['sts'],
    all: true,
    scale: true,
    strategy: apps.statefulSetStrategy,
    columns: workload.statefulSetColumns,
  }),
  define('apps', 'v1', 'DaemonSet', 'daemonsets', {
    short: ['ds'],
    all: true,
    strategy: apps.daemonSetStrategy,
    columns: workload.daemonSetColumns,
  }),
  define('apps', 'v1', 'ControllerRevision', 'controllerrevisions', plain),
  define('batch', 'v1', 'Job', 'jobs', {
    all: true,
    fields: ['status.successful'],
    strategy: apps.jobStrategy,
    columns: workload.jobColumns,
  }),
  define('batch', 'v1', 'CronJob', 'cronjobs', {
    short: ['cj'],
    all: true,
    strategy: apps.cronJobStrategy,
    columns: workload.cronJobColumns,
  }),
  define('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets', { short: ['pdb'] }),
  define('autoscaling', 'v2', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', {
    short: ['hpa'],
    all: true,
    strategy: autoscalerStrategy,
  }),
  define('autoscaling', 'v1', 'HorizontalPodAutoscaler', 'horizontalpodautoscalers', {
    short: ['hpa'],
    all: true,
    strategy: autoscalerStrategy,
    fromStorage: fromStoredAutoscaler,
    toStorage: toStoredAutoscaler,
  }),
];

const network: readonly ResourceType[] = [
  define('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices', {
    ...plain,
    strategy: apps.endpointSliceStrategy,
  }),
  define('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies', {
    ...plain,
    short: ['netpol'],
    strategy: kinds.networkPolicyStrategy,
  }),
  define('networking.k8s.io', 'v1', 'Ingress', 'ingresses', { short: ['ing'], strategy: apps.ingressStrategy }),
  define('networking.k8s.io', 'v1', 'IngressClass', 'ingressclasses', { ...plain, cluster: true }),
];

const reviews: readonly ResourceType[] = [
  define('authentication.k8s.io', 'v1', 'TokenReview', 'tokenreviews', review),
  define('authentication.k8s.io', 'v1', 'SelfSubjectReview', 'selfsubjectreviews', review),
  define('authorization.k8s.io', 'v1', 'SubjectAccessReview', 'subjectaccessreviews', review),
  define('authorization.k8s.io', 'v1', 'SelfSubjectAccessReview', 'selfsubjectaccessreviews', review),
  define('authorization.k8s.io', 'v1', 'SelfSubjectRulesReview', 'selfsubjectrulesreviews', review),
  define('authorization.k8s.io', 'v1', 'LocalSubjectAccessReview', 'localsubjectaccessreviews', {
    ...review,
    cluster: false,
  }),
];

const rbac = 'rbac.authorization.k8s.io';
const policies: readonly ResourceType[] = [
  define(rbac, 'v1', 'Role', 'roles', { ...plain, strategy: kinds.roleStrategy }),
  define(rbac, 'v1', 'RoleBinding', 'rolebindings', { ...plain, strategy: kinds.bindingStrategy }),
  define(rbac, 'v1', 'ClusterRole', 'clusterroles', { ...plain, cluster: true, strategy: kinds.roleStrategy }),
  define(rbac, 'v1', 'ClusterRoleBinding', 'clusterrolebindings', {
    ...plain,
    cluster: true,
    strategy: kinds.bindingStrategy,
  }),
  define('admissionregistration.k8s.io', 'v1', 'MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', {
    ...plain,
    cluster: true,
    categories: ['api-extensions'],
    strategy: kinds.webhookStrategy(true),
  }),
  define('admissionregistration.k8s.io', 'v1', 'ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', {
    ...plain,
    cluster: true,
    categories: ['api-extensions'],
    strategy: kinds.webhookStrategy(false),
  }),
  define('apiextensions.k8s.io', 'v1', 'CustomResourceDefinition', 'customresourcedefinitions', {
    short: ['crd', 'crds'],
    cluster: true,
    categories: ['api-extensions'],
    strategy: definitionStrategy,
  }),
  define('coordination.k8s.io', 'v1', 'Lease', 'leases', { ...plain, strategy: kinds.leaseStrategy }),
  define('events.k8s.io', 'v1', 'Event', 'events', {
    ...plain,
    short: ['ev'],
    fields: [
      'reason',
      'reportingController',
      'type',
      'regarding.kind',
      'regarding.namespace',
      'regarding.name',
      'regarding.uid',
    ],
    model: 'EventsV1Event',
    storage: storageKey('', 'events'),
    fromStorage: fromStoredEvent,
    toStorage: toStoredEvent,
  }),
  define('scheduling.k8s.io', 'v1', 'PriorityClass', 'priorityclasses', {
    ...plain,
    short: ['pc'],
    cluster: true,
    strategy: kinds.priorityClassStrategy,
  }),
  define('storage.k8s.io', 'v1', 'StorageClass', 'storageclasses', { ...plain, short: ['sc'], cluster: true }),
];

export const builtinResources: readonly ResourceType[] = [...core, ...workloads, ...network, ...reviews, ...policies];
