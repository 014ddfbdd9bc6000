/** What depends on an object, and so may differ when the object does. */
import type { AuthenticationPolicy, ExternalService } from '@weft/policies/crds/kinds';
import { unreachable } from '@weft/policies/kit/result';
import type { ClientPolicy, TargetRef } from './client-policies.ts';
import type { Pod, Service } from './core.ts';
import { keyOf, type MeshObject, objectKey } from './objects.ts';
import { serviceParents } from './routes.ts';
import type { ClusterState } from './state.ts';
import { type Touched, untouched } from './touched.ts';

/** Before a change as well as after it. */
export function touchDependents(state: ClusterState, object: MeshObject, touched: Touched): void {
  const key = objectKey(object.metadata);
  switch (object.kind) {
    case 'Service':
      touchService(state, object, touched);
      return;
    case 'EndpointSlice':
      touched.endpoints.add(keyOf(object.metadata.namespace, object.service));
      return;
    case 'Pod':
      touchPod(state, object, touched);
      return;
    case 'Namespace':
      return;
    case 'Node':
      for (const pod of state.pods.by('node', key)) touchPod(state, pod, touched);
      return;
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TCPRoute':
    case 'TLSRoute':
      for (const parent of serviceParents(object)) touchParent(state, parent, touched);
      return;
    case 'ReferenceGrant':
      for (const route of state.routes.by('backendNamespace', object.metadata.namespace)) {
        for (const parent of serviceParents(route)) touchParent(state, parent, touched);
      }
      return;
    case 'TrafficPolicy':
    case 'FaultPolicy':
      for (const ref of object.spec.targetRefs) touchTarget(state, object, ref, touched);
      return;
    case 'AuthorizationPolicy':
      // One of the mesh's namespace may be for all of it.
      for (const pod of object.metadata.namespace === state.meshNamespace
        ? state.pods.keys()
        : state.pods.keysBy('namespace', object.metadata.namespace)) {
        touched.pods.add(pod);
      }
      return;
    case 'OverloadPolicy':
      for (const pod of state.pods.keysBy('namespace', object.metadata.namespace)) touched.pods.add(pod);
      return;
    case 'AuthenticationPolicy':
      touchAuthentication(state, object, touched);
      return;
    case 'ExternalService':
      touchExternal(state, object, touched);
      return;
    case 'Mesh':
      touched.everything = true;
      return;
    default:
      unreachable(object);
  }
}

/** What a server takes is what its clients have to know. */
function touchAuthentication(state: ClusterState, { metadata, spec }: AuthenticationPolicy, touched: Touched): void {
  const selectsAll = Object.keys(spec.selector?.matchLabels ?? {}).length === 0;
  if (metadata.namespace === state.meshNamespace && selectsAll) touched.everything = true;
  else for (const pod of state.pods.by('namespace', metadata.namespace)) touchPod(state, pod, touched);
}

/** Sidecars that have keys which were fetched from one of these places. */
export function touchedByKeys(state: ClusterState, uris: ReadonlySet<string>): Touched {
  const touched = untouched();
  for (const policy of state.authenticationPolicies.values()) {
    const isMeant = (policy.spec.jwt ?? []).some(({ jwks: { uri } }) => uri !== undefined && uris.has(uri));
    if (isMeant) touchAuthentication(state, policy, touched);
  }
  return touched;
}

function touchService(state: ClusterState, service: Service, touched: Touched): void {
  const key = objectKey(service.metadata);
  touched.services.add(key);
  touched.endpoints.add(key);
  for (const ip of service.clusterIps) touched.addresses.add(ip);
  for (const pod of state.podsSelectedBy(service)) {
    touched.pods.add(objectKey(pod.metadata));
    for (const ip of pod.ips) touched.addresses.add(ip);
  }
  touchRoutesTo(state, key, touched);
}

/** Clusters and routes of its own, those of whoever it is a backend of, and what its clients find behind their ports. */
function touchExternal(state: ClusterState, { metadata, spec }: ExternalService, touched: Touched): void {
  const key = objectKey(metadata);
  touched.services.add(key);
  touchRoutesTo(state, key, touched);
  if (spec.visibility === 'Mesh') touched.everything = true;
  touched.egress.add(metadata.namespace);
  for (const pod of state.pods.keysBy('namespace', metadata.namespace)) touched.pods.add(pod);
}

function touchRoutesTo(state: ClusterState, service: string, touched: Touched): void {
  for (const route of state.routes.by('backend', service)) {
    for (const parent of serviceParents(route)) touchParent(state, parent, touched);
  }
}

/** Routes decide what is done with requests, and with connections: that is part of what an address stands for. */
function touchParent(state: ClusterState, parent: string, touched: Touched): void {
  touched.services.add(parent);
  for (const ip of state.services.get(parent)?.clusterIps ?? []) touched.addresses.add(ip);
}

function touchPod(state: ClusterState, pod: Pod, touched: Touched): void {
  const key = objectKey(pod.metadata);
  touched.pods.add(key);
  for (const ip of pod.ips) touched.addresses.add(ip);
  for (const slice of state.endpointSlices.by('pod', key)) {
    touched.endpoints.add(keyOf(slice.metadata.namespace, slice.service));
  }
  if (pod.opaquePorts.length === 0) return;
  // Its clients have to know, who see the Service.
  for (const service of state.servicesSelecting(pod)) {
    touched.services.add(objectKey(service.metadata));
    for (const ip of service.clusterIps) touched.addresses.add(ip);
    touchRoutesTo(state, objectKey(service.metadata), touched);
  }
}

/** Routes that send there say by what of a request its clients pick an endpoint. */
function touchCalled(state: ClusterState, service: string, touched: Touched): void {
  touched.services.add(service);
  for (const route of state.routes.by('backend', service)) {
    for (const parent of serviceParents(route)) touched.services.add(parent);
  }
}

function touchTarget(state: ClusterState, policy: ClientPolicy, ref: TargetRef, touched: Touched): void {
  const key = keyOf(ref.namespace ?? policy.metadata.namespace, ref.name);
  switch (ref.kind) {
    case 'Service':
      touchCalled(state, key, touched);
      return;
    case 'ExternalService': {
      const external = state.externalServices.get(key);
      if (external !== undefined) touchExternal(state, external, touched);
      return;
    }
    case 'HTTPRoute':
    case 'GRPCRoute': {
      const route = state.routes.get(ref.kind, key);
      for (const parent of route === undefined ? [] : serviceParents(route)) touched.services.add(parent);
      return;
    }
    case 'Namespace':
      for (const service of state.services.keysBy('namespace', ref.name)) touchCalled(state, service, touched);
      for (const external of state.externalServices.by('namespace', ref.name)) touchExternal(state, external, touched);
      return;
    case 'Mesh':
      touched.everything = true;
      return;
    default:
      unreachable(ref.kind);
  }
}
