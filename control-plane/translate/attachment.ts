/** Which routes speak for a Service port (Gateway API for service mesh, GEP-1294 and GEP-1426). */
import type { AnyRoute, HTTPRoute, RouteKind } from '@weft/policies/crds/kinds';
import { routeKinds } from '@weft/policies/crds/kinds';
import type { AppProtocol } from '@weft/policies/model/address';
import type { Service } from '../index/core.ts';
import { byAge, keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';
import { droppedRules } from './rule-faults.ts';

export type ParentRef = NonNullable<HTTPRoute['spec']['parentRefs']>[number];
export type Port = Service['ports'][number];

/** True for references that the mesh answers for; those to a Gateway are a gateway controller's. */
export const isServiceParent = (ref: ParentRef): boolean => ref.kind === 'Service' && ref.group === '';

export function parentService(state: ClusterState, route: AnyRoute, ref: ParentRef): Service | undefined {
  return state.services.get(keyOf(ref.namespace ?? route.metadata.namespace, ref.name));
}

/** A reference without port or section name takes every port; with both, the port that is both. */
export const selectsPort = (ref: ParentRef, port: Port): boolean =>
  (ref.port === undefined || ref.port === port.port) &&
  (ref.sectionName === undefined || ref.sectionName === port.name);

/** Whether the connections or requests of such a port can be what a kind of route is about. */
export function fits(kind: RouteKind, protocol: AppProtocol): boolean {
  switch (kind) {
    case 'HTTPRoute':
    case 'GRPCRoute':
      return carriesHttp(protocol);
    case 'TLSRoute':
      // Whoever says that a port is opaque does not want its first bytes looked at.
      return protocol === 'tls' || protocol === 'detect';
    case 'TCPRoute':
      return true;
  }
}

/** Connections to the pods of a headless Service are not to its own address, which is what routes of connections are for. */
export function mayBeParent(kind: RouteKind, { addressing }: Service): boolean {
  if (addressing === 'headless') return kind === 'HTTPRoute' || kind === 'GRPCRoute';
  return addressing === 'cluster-ip';
}

/** "Producer" routes are for all clients; "consumer" routes for those of their own namespace. */
export const isConsumerOf = (route: AnyRoute, service: Service): boolean =>
  route.metadata.namespace !== service.metadata.namespace;

/** True for a route that would be used on the port if there were no other. */
function speaksFor(state: ClusterState, route: AnyRoute, service: Service, port: Port): boolean {
  if (!mayBeParent(route.kind, service) || !fits(route.kind, servicePortProtocol(state, service, port))) return false;
  return (route.spec.parentRefs ?? []).some((ref) => refersTo(route, ref, service, port)) && !isWhollyDropped(route);
}

const refersTo = (route: AnyRoute, ref: ParentRef, service: Service, port: Port): boolean =>
  isServiceParent(ref) &&
  ref.name === service.metadata.name &&
  (ref.namespace ?? route.metadata.namespace) === service.metadata.namespace &&
  selectsPort(ref, port);

/** A route of which no rule is left is not accepted; one that never had a rule matches nothing. */
export const isWhollyDropped = (route: AnyRoute): boolean => {
  const dropped = droppedRules(route);
  return dropped.size > 0 && dropped.size === (route.spec.rules ?? []).length;
};

/**
 * The routes of a namespace on a Service port, oldest first. Of several kinds only the most specific one counts
 * (GEP-1294, "Route types"); routes of one kind are merged.
 */
export function routesOf(state: ClusterState, namespace: string, service: Service, port: Port): readonly AnyRoute[] {
  const attached = state.routes
    .by('parent', objectKey(service.metadata))
    .filter((route) => route.metadata.namespace === namespace && speaksFor(state, route, service, port));
  const kind = routeKinds.find((one) => attached.some((route) => route.kind === one));
  return attached.filter((route) => route.kind === kind).sort(byAge);
}

/**
 * The routes that clients of a namespace go by: its own, which take the place of the producer's as a whole, or the
 * producer's (GEP-1294, "Multiple routes for a Service").
 */
export function routesFor(
  state: ClusterState,
  clientNamespace: string,
  service: Service,
  port: Port,
): readonly AnyRoute[] {
  const producer = service.metadata.namespace;
  const own = clientNamespace === producer ? [] : routesOf(state, clientNamespace, service, port);
  return own.length > 0 ? own : routesOf(state, producer, service, port);
}
