/** The state of the cluster as the mesh sees it: applied object by object, in any order, with the same outcome. */
import { isDeepStrictEqual } from 'node:util';
import type {
  AuthenticationPolicy,
  AuthorizationPolicy,
  ExternalService,
  FaultPolicy,
  Mesh,
  OverloadPolicy,
  ReferenceGrant,
  TrafficPolicy,
} from '@weft/policies/crds/kinds';
import { unreachable } from '@weft/policies/kit/result';
import { targetKey, targetOwner } from './client-policies.ts';
import type { EndpointSlice, Namespace, Node, Pod, Service } from './core.ts';
import { touchDependents } from './dependents.ts';
import { keyOf, type MeshObject, type ObjectKind, objectKey } from './objects.ts';
import { RouteStores } from './routes.ts';
import { ObjectStore } from './store.ts';
import { type Touched, untouched } from './touched.ts';

export class ClusterState {
  readonly meshNamespace: string;
  readonly services = new ObjectStore<Service, 'ip' | 'namespace'>({
    ip: (service) => service.clusterIps,
    namespace: (service) => [service.metadata.namespace],
  });
  readonly endpointSlices = new ObjectStore<EndpointSlice, 'service' | 'pod'>({
    service: (slice) => (slice.service === '' ? [] : [keyOf(slice.metadata.namespace, slice.service)]),
    pod: (slice) =>
      slice.endpoints.filter((one) => one.pod !== '').map((one) => keyOf(slice.metadata.namespace, one.pod)),
  });
  readonly pods = new ObjectStore<Pod, 'ip' | 'namespace' | 'node' | 'serviceAccount' | 'label' | 'opaque'>({
    // Host-network pods share the address of their node, which therefore names none of them.
    ip: (pod) => (pod.hostNetwork ? [] : pod.ips),
    namespace: (pod) => [pod.metadata.namespace],
    opaque: (pod) => (pod.opaquePorts.length === 0 ? [] : [pod.metadata.namespace]),
    node: (pod) => (pod.nodeName === '' ? [] : [pod.nodeName]),
    serviceAccount: (pod) => [keyOf(pod.metadata.namespace, pod.serviceAccount)],
    label: (pod) =>
      Object.entries(pod.metadata.labels).map(([name, value]) => labelIndex(pod.metadata.namespace, name, value)),
  });
  readonly namespaces = new ObjectStore<Namespace>({});
  readonly nodes = new ObjectStore<Node>({});
  readonly routes = new RouteStores();
  readonly referenceGrants = new ObjectStore<ReferenceGrant, 'namespace'>({
    namespace: (grant) => [grant.metadata.namespace],
  });
  readonly trafficPolicies: ObjectStore<TrafficPolicy, 'target' | 'consumer'>;
  readonly faultPolicies: ObjectStore<FaultPolicy, 'target' | 'consumer'>;
  readonly authorizationPolicies = new ObjectStore<AuthorizationPolicy, 'namespace'>({
    namespace: (policy) => [policy.metadata.namespace],
  });
  readonly authenticationPolicies = new ObjectStore<AuthenticationPolicy, 'namespace'>({
    namespace: (policy) => [policy.metadata.namespace],
  });
  readonly overloadPolicies = new ObjectStore<OverloadPolicy, 'namespace'>({
    namespace: (policy) => [policy.metadata.namespace],
  });
  readonly externalServices = new ObjectStore<ExternalService, 'namespace' | 'visibility'>({
    namespace: (external) => [external.metadata.namespace],
    visibility: (external) => [external.spec.visibility],
  });
  readonly meshes = new ObjectStore<Mesh>({});

  constructor(meshNamespace: string) {
    this.meshNamespace = meshNamespace;
    this.trafficPolicies = new ObjectStore({
      target: (policy) => policy.spec.targetRefs.map((ref) => targetKey(policy, ref)),
      consumer: (policy) =>
        policy.spec.targetRefs.some((ref) => targetOwner(policy, ref, meshNamespace) !== policy.metadata.namespace)
          ? [policy.metadata.namespace]
          : [],
    });
    this.faultPolicies = new ObjectStore({
      target: (policy) => policy.spec.targetRefs.map((ref) => targetKey(policy, ref)),
      // Clients that are named see other faults than the rest, as those do of a namespace with a policy of its own.
      consumer: (policy) => [
        ...(policy.spec.match?.sourceNamespaces ?? []),
        ...(policy.spec.targetRefs.some((ref) => targetOwner(policy, ref, meshNamespace) !== policy.metadata.namespace)
          ? [policy.metadata.namespace]
          : []),
      ],
    });
  }

  get mesh(): Mesh | undefined {
    return this.meshes.get('default');
  }

  /** True when clients of this namespace may see other routes and clusters than the rest. */
  hasConsumerConfig(namespace: string): boolean {
    return (
      this.routes.isConsumer(namespace) ||
      this.trafficPolicies.keysBy('consumer', namespace).size > 0 ||
      this.faultPolicies.keysBy('consumer', namespace).size > 0
    );
  }

  /** Also of what is outside of the mesh. */
  seesItsOwn(namespace: string): boolean {
    return this.hasConsumerConfig(namespace) || this.externalServices.keysBy('namespace', namespace).size > 0;
  }

  apply(object: MeshObject): Touched {
    const touched = untouched();
    const before = this.find(object.kind, objectKey(object.metadata));
    if (isDeepStrictEqual(before, object)) return touched;
    if (before !== undefined) touchDependents(this, before, touched);
    this.put(object);
    touchDependents(this, object, touched);
    return touched;
  }

  delete(kind: ObjectKind, key: string): Touched {
    const touched = untouched();
    const before = this.find(kind, key);
    if (before === undefined) return touched;
    touchDependents(this, before, touched);
    this.store(kind).delete(key);
    return touched;
  }

  find(kind: ObjectKind, key: string): MeshObject | undefined {
    return this.store(kind).get(key);
  }

  keys(kind: ObjectKind): string[] {
    return [...this.store(kind).keys()];
  }

  /** Pods that a selector picks; an empty one picks none (a Service without selector has no pods of its own). */
  podsSelectedBy(service: Service): Pod[] {
    const [first, ...rest] = Object.entries(service.selector);
    if (first === undefined) return [];
    const candidates = this.pods.by('label', labelIndex(service.metadata.namespace, first[0], first[1]));
    return candidates.filter((pod) => rest.every(([name, value]) => pod.metadata.labels[name] === value));
  }

  /** Pods of a Service that have opaque ports: few, if any. */
  opaquePodsOf(service: Service): Pod[] {
    if (this.pods.keysBy('opaque', service.metadata.namespace).size === 0) return [];
    return this.pods
      .by('opaque', service.metadata.namespace)
      .filter((pod) => selects(service.selector, pod.metadata.labels));
  }

  /** By name, so that the first is the same everywhere: it is the pod's canonical Service. */
  servicesSelecting(pod: Pod): Service[] {
    return this.services
      .by('namespace', pod.metadata.namespace)
      .filter((service) => service.selector && selects(service.selector, pod.metadata.labels));
  }

  private store(kind: ObjectKind): {
    get(key: string): MeshObject | undefined;
    delete(key: string): unknown;
    keys(): Iterable<string>;
  } {
    switch (kind) {
      case 'Service':
        return this.services;
      case 'EndpointSlice':
        return this.endpointSlices;
      case 'Pod':
        return this.pods;
      case 'Namespace':
        return this.namespaces;
      case 'Node':
        return this.nodes;
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TCPRoute':
      case 'TLSRoute':
        return this.routes[kind];
      case 'ReferenceGrant':
        return this.referenceGrants;
      case 'TrafficPolicy':
        return this.trafficPolicies;
      case 'FaultPolicy':
        return this.faultPolicies;
      case 'AuthorizationPolicy':
        return this.authorizationPolicies;
      case 'AuthenticationPolicy':
        return this.authenticationPolicies;
      case 'OverloadPolicy':
        return this.overloadPolicies;
      case 'ExternalService':
        return this.externalServices;
      case 'Mesh':
        return this.meshes;
      default:
        return unreachable(kind);
    }
  }

  private put(object: MeshObject): void {
    const key = objectKey(object.metadata);
    switch (object.kind) {
      case 'Service':
        this.services.set(key, object);
        return;
      case 'EndpointSlice':
        this.endpointSlices.set(key, object);
        return;
      case 'Pod':
        this.pods.set(key, object);
        return;
      case 'Namespace':
        this.namespaces.set(key, object);
        return;
      case 'Node':
        this.nodes.set(key, object);
        return;
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TCPRoute':
      case 'TLSRoute':
        this.routes.set(object);
        return;
      case 'ReferenceGrant':
        this.referenceGrants.set(key, object);
        return;
      case 'TrafficPolicy':
        this.trafficPolicies.set(key, object);
        return;
      case 'FaultPolicy':
        this.faultPolicies.set(key, object);
        return;
      case 'AuthorizationPolicy':
        this.authorizationPolicies.set(key, object);
        return;
      case 'AuthenticationPolicy':
        this.authenticationPolicies.set(key, object);
        return;
      case 'OverloadPolicy':
        this.overloadPolicies.set(key, object);
        return;
      case 'ExternalService':
        this.externalServices.set(key, object);
        return;
      case 'Mesh':
        this.meshes.set(key, object);
        return;
      default:
        unreachable(object);
    }
  }
}

const labelIndex = (namespace: string, name: string, value: string): string => `${namespace}/${name}=${value}`;

export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
