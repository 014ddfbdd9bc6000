/** One door to translation: a resource by kind and name, for a client. */
import { unreachable } from '@weft/policies/kit/result';
import type { ResourceKind, ResourceMap } from '@weft/policies/model/snapshot';
import { translateAddress } from './address.ts';
import { originalDestinationCluster, translateCluster } from './cluster.ts';
import type { TranslateContext } from './context.ts';
import { translateEndpoints } from './endpoints.ts';
import { type ClientFeatures, translateInbound, translateOutbound } from './listener.ts';
import { INBOUND, OUTBOUND, PASSTHROUGH, parseOutboundName } from './names.ts';
import { translateRoutes } from './route.ts';

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
export function scopeOf(context: TranslateContext, kind: ResourceKind, client: Client): string {
  switch (kind) {
    case 'address':
    case 'endpoints':
      return '';
    case 'route':
    case 'cluster':
      return context.state.hasConsumerConfig(client.namespace) ? client.namespace : '';
    case 'listener':
      return `${client.podKey}${client.features.http2 ? '+h2' : ''}`;
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
    case 'address':
      return tagged('address', translateAddress(context, name));
    case 'listener':
      return tagged('listener', listener(context, name, client));
    case 'cluster':
      return tagged('cluster', cluster(context, name, client));
    case 'route': {
      const ref = parseOutboundName(name);
      return ref && tagged('route', translateRoutes(context, client.namespace, ref));
    }
    case 'endpoints': {
      const ref = parseOutboundName(name);
      return ref && tagged('endpoints', translateEndpoints(context, ref));
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

function cluster(context: TranslateContext, name: string, client: Client) {
  if (name === INBOUND || name === PASSTHROUGH) return originalDestinationCluster(name);
  const ref = parseOutboundName(name);
  return ref && translateCluster(context, client.namespace, ref);
}

function listener(context: TranslateContext, name: string, client: Client) {
  const pod = context.state.pods.get(client.podKey);
  if (pod === undefined) return undefined;
  if (name === INBOUND) return translateInbound(context, pod, client.features);
  return name === OUTBOUND ? translateOutbound(context, pod, client.features) : undefined;
}
