/** What the references of a route to backends mean: a Service port, or a fault that the status names. */
import { type AnyRoute, gatewayGroup, weftGroup } from '@weft/policies/crds/kinds';
import type { Service } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import { serviceParents } from '../index/routes.ts';
import type { ClusterState } from '../index/state.ts';
import { externalName } from './external/names.ts';
import { isVisibleTo, kindOfPort } from './external/visible.ts';
import { outboundName } from './names.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';

type BackendFault = 'InvalidKind' | 'BackendNotFound' | 'RefNotPermitted' | 'UnsupportedProtocol';

export interface BackendName {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly port?: number | undefined;
}

export type Backend =
  | { readonly state: 'resolved'; readonly service: Service; readonly port: Service['ports'][number] }
  | { readonly state: 'external'; readonly cluster: string }
  | { readonly state: 'faulty'; readonly reason: BackendFault; readonly message: string };

const externalKind = { group: weftGroup, kind: 'ExternalService' };
const serviceKind = { group: '', kind: 'Service' };

const faulty = (reason: BackendFault, message: string): Backend => ({ state: 'faulty', reason, message });

/** An ExternalService as a backend is its first host that is no wildcard: a route sends to a server, not to a name that clients choose. */
function resolveExternal(state: ClusterState, route: AnyRoute, ref: BackendName): Backend {
  const from = route.metadata.namespace;
  const namespace = ref.namespace ?? from;
  const key = keyOf(namespace, ref.name);
  const external = state.externalServices.get(key);
  const visible = external !== undefined && isVisibleTo(state, external, from);
  if (!visible && !isPermitted(state, route, namespace, ref.name, externalKind)) {
    const message = `no ReferenceGrant in ${namespace} lets ${route.kind}s of ${from} refer to ExternalService ${key}`;
    return faulty('RefNotPermitted', message);
  }
  if (external === undefined) return faulty('BackendNotFound', `there is no ExternalService ${key}`);
  const port = external.spec.ports.find(({ number }) => number === ref.port);
  if (port === undefined) {
    const has = external.spec.ports.map(({ number }) => number).join(', ');
    return faulty('BackendNotFound', `ExternalService ${key} has no port ${ref.port}; it has ${has}`);
  }
  const { spec } = external;
  if (spec.resolution === 'Passthrough') {
    const message = `ExternalService ${key} goes where its client goes (resolution Passthrough), which a route cannot; use Static or DNS`;
    return faulty('InvalidKind', message);
  }
  if (spec.endpoints === undefined && spec.hosts?.every((host) => host.startsWith('*')) !== false) {
    return faulty('InvalidKind', `ExternalService ${key} has wildcards alone, which name no server; add a host`);
  }
  if ((route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute') && kindOfPort(port) !== 'http') {
    return faulty('UnsupportedProtocol', `port ${port.number} of ExternalService ${key} does not carry HTTP`);
  }
  const cluster = externalName({ namespace, name: ref.name, port: port.number, host: undefined });
  return { state: 'external', cluster };
}

/** Gateway API, BackendRef: in which cases a reference is invalid, and the reason that the condition has to give. */
export function resolveBackend(state: ClusterState, route: AnyRoute, ref: BackendName): Backend {
  if (ref.kind === externalKind.kind && ref.group === externalKind.group) return resolveExternal(state, route, ref);
  if (ref.kind !== 'Service' || ref.group !== '') {
    const kind = ref.group === '' ? ref.kind : `${ref.kind}.${ref.group}`;
    return faulty('InvalidKind', `backend ${ref.name} is a ${kind}; use a Service or an ExternalService`);
  }
  const from = route.metadata.namespace;
  const namespace = ref.namespace ?? from;
  const key = keyOf(namespace, ref.name);
  if (!isPermitted(state, route, namespace, ref.name)) {
    const message = `no ReferenceGrant in ${namespace} lets ${route.kind}s of ${from} refer to Service ${key}`;
    return faulty('RefNotPermitted', message);
  }
  const service = state.services.get(key);
  if (service === undefined) return faulty('BackendNotFound', `there is no Service ${key}`);
  if (service.addressing === 'external-name') {
    // BackendRef: support of ExternalName is left to implementations; it has no endpoints to send to.
    return faulty('InvalidKind', `Service ${key} is an ExternalName, which is not supported`);
  }
  const port = service.ports.find((one) => one.port === ref.port);
  if (port === undefined) {
    const has = service.ports.map((one) => one.port).join(', ') || 'none';
    return faulty('BackendNotFound', `Service ${key} has no port ${ref.port}; it has ${has}`);
  }
  const protocol = servicePortProtocol(state, service, port);
  if ((route.kind === 'HTTPRoute' || route.kind === 'GRPCRoute') && !carriesHttp(protocol)) {
    const says = protocol === 'tls' ? 'TLS of its own' : 'opaque bytes';
    const message = `port ${port.port} of Service ${key} is declared to carry ${says}, not HTTP; correct its appProtocol or name`;
    return faulty('UnsupportedProtocol', message);
  }
  return { state: 'resolved', service, port };
}

/** Name of the cluster; empty for what is invalid, whose share of requests fails. */
export function backendCluster(state: ClusterState, route: AnyRoute, ref: BackendName): string {
  const backend = resolveBackend(state, route, ref);
  if (backend.state === 'faulty') return '';
  if (backend.state === 'external') return backend.cluster;
  const { namespace, name } = backend.service.metadata;
  return outboundName({ namespace, service: name, port: backend.port.port });
}

/** A route may always send to the Service that it is attached to; that is what it was asked about. */
function isPermitted(
  state: ClusterState,
  route: AnyRoute,
  namespace: string,
  name: string,
  to: { readonly group: string; readonly kind: string } = serviceKind,
): boolean {
  const from = route.metadata.namespace;
  if (namespace === from) return true;
  if (to === serviceKind && serviceParents(route).includes(keyOf(namespace, name))) return true;
  return state.referenceGrants
    .by('namespace', namespace)
    .some(
      ({ spec }) =>
        spec.from.some((one) => one.group === gatewayGroup && one.kind === route.kind && one.namespace === from) &&
        spec.to.some((one) => one.group === to.group && one.kind === to.kind && (one.name ?? name) === name),
    );
}
