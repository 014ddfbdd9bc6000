/** One door to translation: a resource by kind and name, for a client. */
import { unreachable } from '@weft/policies/kit/result';
import type { EndpointAssignment } from '@weft/policies/model/cluster';
import { BLACKHOLE } from '@weft/policies/model/egress';
import type { Place } from '@weft/policies/model/locality';
import type { ResourceKind, ResourceMap } from '@weft/policies/model/snapshot';
import { keyOf } from '../index/objects.ts';
import { translateAddress } from './address.ts';
import { originalDestinationCluster, translateCluster } from './cluster.ts';
import type { TranslateContext } from './context.ts';
import { translateEndpoints } from './endpoints.ts';
import { blackhole, translateExternalCluster } from './external/cluster.ts';
import { parseEgressName, parseExternalName } from './external/names.ts';
import { translateEgressRoutes, translateExternalRoutes } from './external/route.ts';
import { translateDirectCluster, translateDirectRoutes } from './headless.ts';
import { type ClientFeatures, translateInbound, translateOutbound } from './listener.ts';
import { INBOUND, OUTBOUND, PASSTHROUGH, parseDirectName, parseOutboundName, type ServicePortRef } from './names.ts';
import { endpointsForPlace } from './peer-endpoints.ts';
import { translateRoutes } from './route.ts';
import { translateTrust } from './trust.ts';

/** Who asks, as far as it makes a difference to the answer. */
export interface Client {
  readonly namespace: string;
  /** `<ns>/<name>`. */
  readonly podKey: string;
  readonly features: ClientFeatures;
}

export type TranslatedResource = {
  readonly [K in ResourceKind]: { readonly kind: K; readonly value: ResourceMap[K] };
}[ResourceKind];

/**
 * Clients with the same scope get the same resource, so that it is translated and encoded once for all of them:
 * the whole mesh, a namespace that has settings of its own for what it calls, or one pod.
 */
export function scopeOf(context: TranslateContext, kind: ResourceKind, name: string, client: Client): string {
  switch (kind) {
    case 'secret':
      return '';
    case 'address':
      return context.state.routes.routesConnections(client.namespace) ? client.namespace : '';
    case 'endpoints':
      return client.features.locality === true ? '' : placeScope(context, name, client);
    case 'route':
    case 'cluster':
      return context.state.seesItsOwn(client.namespace) ? client.namespace : '';
    case 'listener':
      return `${client.podKey}${client.features.http2 ? '+h2' : ''}${client.features.connect === true ? '+connect' : ''}`;
    default:
      return unreachable(kind);
  }
}

export function translateResource(
  context: TranslateContext,
  kind: ResourceKind,
  name: string,
  client: Client,
): TranslatedResource | undefined {
  switch (kind) {
    case 'secret':
      return tagged('secret', translateTrust(context, name));
    case 'address':
      return tagged('address', translateAddress(context, client.namespace, name));
    case 'listener':
      return tagged('listener', listener(context, name, client));
    case 'cluster':
      return tagged('cluster', cluster(context, name, client));
    case 'route':
      return tagged('route', routes(context, name, client));
    case 'endpoints': {
      const ref = parseOutboundName(name);
      return ref && tagged('endpoints', endpoints(context, ref, client));
    }
    default:
      return unreachable(kind);
  }
}

function tagged<K extends ResourceKind>(
  kind: K,
  value: ResourceMap[K] | undefined,
): { readonly kind: K; readonly value: ResourceMap[K] } | undefined {
  return value === undefined ? undefined : { kind, value };
}

/** Clients that do not choose by themselves share an answer with those of the same node or zone. */
function placeScope(context: TranslateContext, name: string, client: Client): string {
  const locality = serviceOf(context, parseOutboundName(name))?.locality;
  if (locality === undefined) return 'plain';
  const { zone, node } = placeOf(context, client);
  return locality === 'local-node' || locality === 'prefer-node' ? `plain ${zone} ${node}` : `plain ${zone}`;
}

const serviceOf = (context: TranslateContext, ref: ServicePortRef | undefined) =>
  ref && context.state.services.get(keyOf(ref.namespace, ref.service));

function placeOf({ state }: TranslateContext, client: Client): Place {
  const node = state.pods.get(client.podKey)?.nodeName ?? '';
  return { zone: state.nodes.get(node)?.zone ?? '', node };
}

function endpoints(context: TranslateContext, ref: ServicePortRef, client: Client): EndpointAssignment | undefined {
  const assignment = translateEndpoints(context, ref);
  if (assignment === undefined || client.features.locality === true) return assignment;
  return endpointsForPlace(assignment, serviceOf(context, ref)?.locality, placeOf(context, client));
}

function cluster(context: TranslateContext, name: string, client: Client) {
  if (name === INBOUND || name === PASSTHROUGH) return originalDestinationCluster(name);
  const direct = parseDirectName(name);
  if (direct !== undefined) return translateDirectCluster(context, client.namespace, direct);
  if (name === BLACKHOLE) return blackhole;
  const external = parseExternalName(name);
  if (external !== undefined) return translateExternalCluster(context, client.namespace, external);
  const ref = parseOutboundName(name);
  return ref && translateCluster(context, client.namespace, ref);
}

function routes(context: TranslateContext, name: string, client: Client) {
  const port = parseEgressName(name);
  if (port !== undefined) return translateEgressRoutes(context, client.namespace, port);
  const external = parseExternalName(name);
  if (external !== undefined) return translateExternalRoutes(context, client.namespace, external);
  const direct = parseDirectName(name);
  if (direct !== undefined) return translateDirectRoutes(context, client.namespace, direct);
  const ref = parseOutboundName(name);
  return ref && translateRoutes(context, client.namespace, ref);
}

function listener(context: TranslateContext, name: string, client: Client) {
  const pod = context.state.pods.get(client.podKey);
  if (pod === undefined) return undefined;
  if (name === INBOUND) return translateInbound(context, pod, client.features);
  return name === OUTBOUND ? translateOutbound(context, pod, client.features) : undefined;
}
