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
import type { EndpointSlice, Namespace, Node, Pod, Service } from './core.ts';
import { keyOf, type MeshObject, type ObjectKind, objectKey } from './objects.ts';
import { RouteStores, serviceParents } from './routes.ts';
import { ObjectStore } from './store.ts';
import { type Touched, untouched } from './touched.ts';

/** Policies of the client's side, which are attached by reference. */
export type ClientPolicy = TrafficPolicy | FaultPolicy;
export type TargetRef = ClientPolicy['spec']['targetRefs'][number];

/** Namespace that owns the target: a policy of another namespace speaks for its own clients alone. */
export function targetOwner(policy: ClientPolicy, ref: TargetRef, meshNamespace: string): string {
  switch (ref.kind) {
    case 'Service':
    case 'ExternalService':
    case 'HTTPRoute':
    case 'GRPCRoute':
      return ref.namespace ?? policy.metadata.namespace;
    case 'Namespace':
      return ref.name;
    case 'Mesh':
      return meshNamespace;
    default:
      return unreachable(ref.kind);
  }
}

/** By which policies are found. */
export const targetKey = (policy: ClientPolicy, ref: TargetRef): string =>
  ref.kind !== 'Namespace' && ref.kind !== 'Mesh'
    ? `${ref.kind}:${keyOf(ref.namespace ?? policy.metadata.namespace, ref.name)}`
    : `${ref.kind}:${ref.name}`;

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
    if (before !== undefined) this.touch(before, touched);
    this.put(object);
    this.touch(object, touched);
    return touched;
  }

  delete(kind: ObjectKind, key: string): Touched {
    const touched = untouched();
    const before = this.find(kind, key);
    if (before === undefined) return touched;
    this.touch(before, touched);
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

  private touch(object: MeshObject, touched: Touched): void {
    const key = objectKey(object.metadata);
    switch (object.kind) {
      case 'Service':
        this.touchService(object, touched);
        return;
      case 'EndpointSlice':
        touched.endpoints.add(keyOf(object.metadata.namespace, object.service));
        return;
      case 'Pod':
        this.touchPod(object, touched);
        return;
      case 'Namespace':
        return;
      case 'Node':
        for (const pod of this.pods.by('node', key)) this.touchPod(pod, touched);
        return;
      case 'HTTPRoute':
      case 'GRPCRoute':
      case 'TCPRoute':
      case 'TLSRoute':
        for (const parent of serviceParents(object)) this.touchParent(parent, touched);
        return;
      case 'ReferenceGrant':
        for (const route of this.routes.by('backendNamespace', object.metadata.namespace)) {
          for (const parent of serviceParents(route)) this.touchParent(parent, touched);
        }
        return;
      case 'TrafficPolicy':
      case 'FaultPolicy':
        for (const ref of object.spec.targetRefs) this.touchTarget(object, ref, touched);
        return;
      case 'AuthorizationPolicy':
        // One of the mesh's namespace may be for all of it.
        for (const pod of object.metadata.namespace === this.meshNamespace
          ? this.pods.keys()
          : this.pods.keysBy('namespace', object.metadata.namespace)) {
          touched.pods.add(pod);
        }
        return;
      case 'OverloadPolicy':
        for (const pod of this.pods.keysBy('namespace', object.metadata.namespace)) touched.pods.add(pod);
        return;
      case 'AuthenticationPolicy':
        this.touchAuthentication(object, touched);
        return;
      case 'ExternalService':
        this.touchExternal(object, touched);
        return;
      case 'Mesh':
        touched.everything = true;
        return;
      default:
        unreachable(object);
    }
  }

  /** What a server takes is what its clients have to know. */
  private touchAuthentication({ metadata, spec }: AuthenticationPolicy, touched: Touched): void {
    if (metadata.namespace === this.meshNamespace && spec.selector === undefined) touched.everything = true;
    else for (const pod of this.pods.by('namespace', metadata.namespace)) this.touchPod(pod, touched);
  }

  /** Sidecars that have keys which were fetched from one of these places. */
  touchedByKeys(uris: ReadonlySet<string>): Touched {
    const touched = untouched();
    for (const policy of this.authenticationPolicies.values()) {
      const isMeant = (policy.spec.jwt ?? []).some(({ jwks: { uri } }) => uri !== undefined && uris.has(uri));
      if (isMeant) this.touchAuthentication(policy, touched);
    }
    return touched;
  }

  private touchService(service: Service, touched: Touched): void {
    const key = objectKey(service.metadata);
    touched.services.add(key);
    touched.endpoints.add(key);
    for (const ip of service.clusterIps) touched.addresses.add(ip);
    for (const pod of this.podsSelectedBy(service)) {
      touched.pods.add(objectKey(pod.metadata));
      for (const ip of pod.ips) touched.addresses.add(ip);
    }
    this.touchRoutesTo(key, touched);
  }

  /** Clusters and routes of its own, those of whoever it is a backend of, and what its clients find behind their ports. */
  private touchExternal({ metadata, spec }: ExternalService, touched: Touched): void {
    const key = objectKey(metadata);
    touched.services.add(key);
    this.touchRoutesTo(key, touched);
    if (spec.visibility === 'Mesh') touched.everything = true;
    touched.egress.add(metadata.namespace);
    for (const pod of this.pods.keysBy('namespace', metadata.namespace)) touched.pods.add(pod);
  }

  private touchRoutesTo(service: string, touched: Touched): void {
    for (const route of this.routes.by('backend', service)) {
      for (const parent of serviceParents(route)) this.touchParent(parent, touched);
    }
  }

  /** Routes decide what is done with requests, and with connections: that is part of what an address stands for. */
  private touchParent(parent: string, touched: Touched): void {
    touched.services.add(parent);
    for (const ip of this.services.get(parent)?.clusterIps ?? []) touched.addresses.add(ip);
  }

  private touchPod(pod: Pod, touched: Touched): void {
    const key = objectKey(pod.metadata);
    touched.pods.add(key);
    for (const ip of pod.ips) touched.addresses.add(ip);
    for (const slice of this.endpointSlices.by('pod', key)) {
      touched.endpoints.add(keyOf(slice.metadata.namespace, slice.service));
    }
    if (pod.opaquePorts.length === 0) return;
    // Its clients have to know, who see the Service.
    for (const service of this.servicesSelecting(pod)) {
      touched.services.add(objectKey(service.metadata));
      for (const ip of service.clusterIps) touched.addresses.add(ip);
      this.touchRoutesTo(objectKey(service.metadata), touched);
    }
  }

  /** Routes that send there say by what of a request its clients pick an endpoint. */
  private touchCalled(service: string, touched: Touched): void {
    touched.services.add(service);
    for (const route of this.routes.by('backend', service)) {
      for (const parent of serviceParents(route)) touched.services.add(parent);
    }
  }

  private touchTarget(policy: ClientPolicy, ref: TargetRef, touched: Touched): void {
    const key = keyOf(ref.namespace ?? policy.metadata.namespace, ref.name);
    switch (ref.kind) {
      case 'Service':
        this.touchCalled(key, touched);
        return;
      case 'ExternalService': {
        const external = this.externalServices.get(key);
        if (external !== undefined) this.touchExternal(external, touched);
        return;
      }
      case 'HTTPRoute':
      case 'GRPCRoute': {
        const route = this.routes.get(ref.kind, key);
        for (const parent of route === undefined ? [] : serviceParents(route)) touched.services.add(parent);
        return;
      }
      case 'Namespace':
        for (const service of this.services.keysBy('namespace', ref.name)) this.touchCalled(service, touched);
        for (const external of this.externalServices.by('namespace', ref.name)) this.touchExternal(external, touched);
        return;
      case 'Mesh':
        touched.everything = true;
        return;
      default:
        unreachable(ref.kind);
    }
  }
}

const labelIndex = (namespace: string, name: string, value: string): string => `${namespace}/${name}=${value}`;

export function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([name, value]) => labels[name] === value);
}
