/** Which routes speak for a Service port (Gateway API for service mesh, GEP-1426), and what their references mean. */
import type { HTTPRoute } from '@weft/policies/crds/kinds';
import { gatewayGroup } from '@weft/policies/crds/kinds';
import { compileLinearRegex } from '@weft/policies/kit/linear-regex';
import type { Service } from '../index/core.ts';
import { byAge, keyOf, objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';

export type ParentRef = NonNullable<HTTPRoute['spec']['parentRefs']>[number];
export type RouteRule = HTTPRoute['spec']['rules'][number];
export type BackendRef = NonNullable<RouteRule['backendRefs']>[number];
export type RouteFilter = NonNullable<RouteRule['filters']>[number];

/** True for references that the mesh answers for; those to a Gateway are a gateway controller's. */
export const isServiceParent = (ref: ParentRef): boolean => ref.kind === 'Service' && ref.group === '';

export function parentService(state: ClusterState, route: HTTPRoute, ref: ParentRef): Service | undefined {
  return state.services.get(keyOf(ref.namespace ?? route.metadata.namespace, ref.name));
}

type Port = Service['ports'][number];

/** A reference without port or section name takes every port. */
export const selectsPort = (ref: ParentRef, port: Port): boolean =>
  (ref.port === undefined || ref.port === port.port) &&
  (ref.sectionName === undefined || ref.sectionName === port.name);

/**
 * Routes of the producer's namespace are for everyone; routes of another namespace are for its own clients,
 * and for them take the place of the producer's.
 */
export function routesFor(state: ClusterState, clientNamespace: string, service: Service, port: Port): HTTPRoute[] {
  const attached = state.routes.HTTPRoute.by('parent', objectKey(service.metadata))
    .filter((route) => (route.spec.parentRefs ?? []).some((ref) => refersTo(route, ref, service, port)))
    .filter((route) => unsupportedIn(route) === undefined)
    .sort(byAge);
  const producer = service.metadata.namespace;
  const own = attached.filter((route) => route.metadata.namespace === clientNamespace);
  if (clientNamespace !== producer && own.length > 0) return own;
  return attached.filter((route) => route.metadata.namespace === producer);
}

const refersTo = (route: HTTPRoute, ref: ParentRef, service: Service, port: Port): boolean =>
  isServiceParent(ref) &&
  ref.name === service.metadata.name &&
  (ref.namespace ?? route.metadata.namespace) === service.metadata.namespace &&
  selectsPort(ref, port);

const judged = new WeakMap<HTTPRoute, { readonly fault: string | undefined }>();

/** What the mesh cannot do, by the field that asks for it; such a route is not accepted and changes nothing. */
export function unsupportedIn(route: HTTPRoute): string | undefined {
  // Objects never change, and compiling patterns is not for every translation.
  const known = judged.get(route);
  if (known !== undefined) return known.fault;
  const fault = firstUnsupported(route);
  judged.set(route, { fault });
  return fault;
}

function firstUnsupported(route: HTTPRoute): string | undefined {
  for (const [index, rule] of route.spec.rules.entries()) {
    const at = `spec.rules[${index}]`;
    if (rule.sessionPersistence !== undefined) return `${at}.sessionPersistence is not supported`;
    for (const [position, match] of rule.matches.entries()) {
      const fault = wrongPattern(match);
      if (fault !== undefined) return `${at}.matches[${position}].${fault}`;
    }
    for (const filter of rule.filters ?? []) {
      if (!isSupported(filter)) return `${at}.filters: type ${filter.type} is not supported`;
    }
    for (const [position, ref] of (rule.backendRefs ?? []).entries()) {
      for (const filter of ref.filters ?? []) {
        if (filter.type === 'RequestHeaderModifier' || filter.type === 'ResponseHeaderModifier') continue;
        return `${at}.backendRefs[${position}].filters: type ${filter.type} is not supported on a backend`;
      }
    }
  }
  return undefined;
}

/** A sidecar would refuse it, and with it all routes of the Service. */
function wrongPattern({ path, headers, queryParams }: RouteRule['matches'][number]): string | undefined {
  const values = [
    { at: 'path', ...path },
    ...(headers ?? []).map((one, index) => ({ ...one, at: `headers[${index}]` })),
    ...(queryParams ?? []).map((one, index) => ({ ...one, at: `queryParams[${index}]` })),
  ];
  for (const { at, type, value } of values) {
    if (type !== 'RegularExpression') continue;
    const compiled = compileLinearRegex(value);
    if (!compiled.ok) return `${at}.value: ${compiled.error}`;
  }
  return undefined;
}

const isSupported = (filter: RouteFilter): boolean =>
  filter.type === 'RequestHeaderModifier' ||
  filter.type === 'ResponseHeaderModifier' ||
  filter.type === 'RequestRedirect' ||
  filter.type === 'URLRewrite';

export type BackendFault = 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted';

export type Backend =
  | { readonly state: 'resolved'; readonly service: Service; readonly port: Port }
  | { readonly state: 'faulty'; readonly reason: BackendFault; readonly message: string };

export function resolveBackend(state: ClusterState, route: HTTPRoute, ref: BackendRef): Backend {
  if (ref.kind !== 'Service' || ref.group !== '') {
    const kind = ref.group === '' ? ref.kind : `${ref.kind}.${ref.group}`;
    return { state: 'faulty', reason: 'InvalidKind', message: `backend ${ref.name} is a ${kind}; use a Service` };
  }
  const namespace = ref.namespace ?? route.metadata.namespace;
  const key = keyOf(namespace, ref.name);
  if (!isPermitted(state, route, namespace, ref.name)) {
    return {
      state: 'faulty',
      reason: 'RefNotPermitted',
      message: `no ReferenceGrant in ${namespace} lets HTTPRoutes of ${route.metadata.namespace} refer to Service ${key}`,
    };
  }
  const service = state.services.get(key);
  if (service === undefined) {
    return { state: 'faulty', reason: 'BackendNotFound', message: `there is no Service ${key}` };
  }
  if (service.addressing === 'external-name') {
    // BackendRef: support of ExternalName is left to implementations; it has no endpoints to send to.
    return {
      state: 'faulty',
      reason: 'InvalidKind',
      message: `Service ${key} is an ExternalName, which is not supported`,
    };
  }
  const port = service.ports.find((one) => one.port === ref.port);
  if (port === undefined) {
    const has = service.ports.map((one) => one.port).join(', ') || 'none';
    return {
      state: 'faulty',
      reason: 'BackendNotFound',
      message: `Service ${key} has no port ${ref.port}; it has ${has}`,
    };
  }
  return { state: 'resolved', service, port };
}

/** A route may always send to the Service that it is attached to; that is what it was asked about. */
function isPermitted(state: ClusterState, route: HTTPRoute, namespace: string, name: string): boolean {
  const from = route.metadata.namespace;
  if (namespace === from) return true;
  const isParent = (route.spec.parentRefs ?? []).some(
    (ref) => isServiceParent(ref) && ref.name === name && (ref.namespace ?? from) === namespace,
  );
  if (isParent) return true;
  return state.referenceGrants
    .by('namespace', namespace)
    .some(
      ({ spec }) =>
        spec.from.some((one) => one.group === gatewayGroup && one.kind === 'HTTPRoute' && one.namespace === from) &&
        spec.to.some((one) => one.group === '' && one.kind === 'Service' && (one.name ?? name) === name),
    );
}
