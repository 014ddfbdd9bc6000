/**
 * How lists of the built-in kinds merge: the patchMergeKey and patchStrategy of strategic merge patch, and the map keys of server-side
 * apply where they differ (API reference, "patch strategy" and "list-map-keys" of each field).
 */
interface MergeHint {
  readonly mergeKey?: string;
  /** Default `merge`. */
  readonly strategy?: string;
  readonly listKeys?: readonly string[];
  /** A list of scalars whose items are unique. */
  readonly set?: boolean;
  /** A map that is replaced as a whole. */
  readonly atomic?: boolean;
}

const by = (mergeKey: string, ...listKeys: readonly string[]): MergeHint => ({
  mergeKey,
  listKeys: listKeys.length > 0 ? listKeys : [mergeKey],
});
const conditions = by('type');
const set: MergeHint = { set: true };
const atomic: MergeHint = { atomic: true };

export const mergeKeys: Readonly<Record<string, MergeHint | undefined>> = {
  'V1ObjectMeta.finalizers': set,
  'V1ObjectMeta.ownerReferences': by('uid'),
  'V1PodSpec.containers': by('name'),
  'V1PodSpec.initContainers': by('name'),
  'V1PodSpec.ephemeralContainers': by('name'),
  'V1PodSpec.volumes': { ...by('name'), strategy: 'merge,retainKeys' },
  'V1PodSpec.imagePullSecrets': by('name'),
  'V1PodSpec.hostAliases': by('ip'),
  'V1PodSpec.topologySpreadConstraints': by('topologyKey', 'topologyKey', 'whenUnsatisfiable'),
  'V1PodSpec.resourceClaims': { ...by('name'), strategy: 'merge,retainKeys' },
  'V1PodSpec.schedulingGates': by('name'),
  'V1PodSpec.nodeSelector': atomic,
  'V1Container.env': by('name'),
  'V1Container.ports': by('containerPort', 'containerPort', 'protocol'),
  'V1Container.volumeMounts': by('mountPath'),
  'V1Container.volumeDevices': by('devicePath'),
  'V1EphemeralContainer.env': by('name'),
  'V1EphemeralContainer.ports': by('containerPort', 'containerPort', 'protocol'),
  'V1EphemeralContainer.volumeMounts': by('mountPath'),
  'V1EphemeralContainer.volumeDevices': by('devicePath'),
  'V1PodStatus.conditions': conditions,
  'V1PodStatus.podIPs': by('ip'),
  'V1PodStatus.hostIPs': { listKeys: ['ip'], mergeKey: 'ip' },
  'V1ContainerStatus.volumeMounts': by('mountPath'),
  'V1ServiceSpec.ports': by('port', 'port', 'protocol'),
  'V1ServiceSpec.selector': atomic,
  'V1ServiceStatus.conditions': conditions,
  'V1ServiceAccount.secrets': by('name'),
  'V1NamespaceStatus.conditions': conditions,
  'V1NodeStatus.conditions': conditions,
  // A dual-stack node has two addresses of one type: the merge key is no identity here.
  'V1NodeStatus.addresses': { mergeKey: 'type' },
  'V1NodeSpec.podCIDRs': set,
  'V1DeploymentSpec.strategy': { strategy: 'retainKeys' },
  'V1DeploymentStatus.conditions': conditions,
  'V1ReplicaSetStatus.conditions': conditions,
  'V1StatefulSetStatus.conditions': conditions,
  'V1DaemonSetStatus.conditions': conditions,
  'V1JobStatus.conditions': conditions,
  'V1PodDisruptionBudgetStatus.conditions': conditions,
  'V1PersistentVolumeClaimStatus.conditions': conditions,
  'V2HorizontalPodAutoscalerStatus.conditions': conditions,
  'V1MutatingWebhookConfiguration.webhooks': by('name'),
  'V1ValidatingWebhookConfiguration.webhooks': by('name'),
  'V1MutatingWebhook.matchConditions': by('name'),
  'V1ValidatingWebhook.matchConditions': by('name'),
  'V1CustomResourceDefinitionStatus.conditions': { listKeys: ['type'], mergeKey: 'type' },
};
