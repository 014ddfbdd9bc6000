/** Kubernetes objects as what the control plane says of them, in the JSON that a real Envoy reads. */
import assert from 'node:assert/strict';
import { ClusterState } from '@weft/control-plane/index/state';
import { parseObjects } from '@weft/control-plane/static/objects';
import type { TranslateContext } from '@weft/control-plane/translate/context';
import { type Client, type TranslatedResource, translateResource } from '@weft/control-plane/translate/resource';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { unreachable } from '@weft/policies/kit/result';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { clusterJson, endpointsJson, listenerJson, routeJson } from '@weft/policies/wire/resource-json';
import type { JsonObject } from './pair-bootstrap.ts';

/** What Envoy has a resource type for. */
export type EnvoyKind = Exclude<ResourceKind, 'address' | 'secret'>;

export class Translated {
  private readonly context: TranslateContext;

  /** YAML, or JSON. */
  constructor(objects: string) {
    const parsed = parseObjects(objects);
    if (!parsed.ok) assert.fail(parsed.error);
    const trustDomain = parseTrustDomain('cluster.local');
    assert.ok(trustDomain.ok);
    const state = new ClusterState('weft-system');
    for (const object of parsed.value) state.apply(object);
    this.context = { state, trustDomain: trustDomain.value, isDrained: () => false };
  }

  model(kind: EnvoyKind, name: string, client: Client): TranslatedResource | undefined {
    return translateResource(this.context, kind, name, client);
  }

  /** A resource as a field of a bootstrap; undefined where there is none of the name. */
  resource(kind: EnvoyKind, name: string, client: Client): JsonObject | undefined {
    const found = this.model(kind, name, client);
    if (found === undefined) return undefined;
    switch (found.kind) {
      case 'listener':
        return untyped(listenerJson(found.value));
      case 'cluster':
        return untyped(clusterJson(found.value));
      case 'route':
        return untyped(routeJson(found.value));
      case 'endpoints':
        return untyped(endpointsJson(found.value));
      case 'address':
      case 'secret':
        return undefined;
      default:
        return unreachable(found);
    }
  }
}

/** Plain fields of a message, without the name of its type. */
function untyped({ '@type': _, ...fields }: JsonObject): JsonObject {
  return fields;
}

export const clientIn = (namespace: string, pod = ''): Client => ({
  namespace,
  podKey: `${namespace}/${pod}`,
  features: { http2: true, locality: true, connect: true },
});
