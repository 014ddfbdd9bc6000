/** Resources for the cache: translated from the state of the cluster and encoded. */
import { create, toBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import type { ExternalService } from '@weft/policies/crds/kinds';
import { unreachable } from '@weft/policies/kit/result';
import { BLACKHOLE } from '@weft/policies/model/egress';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { ResourceSchema } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { encodeResource, resourceVersion, type EncodedResource as WireResource } from '@weft/policies/wire/resource';
import type { TranslateContext } from '../translate/context.ts';
import { clusterNamesOf, routeNamesOf } from '../translate/external/status.ts';
import { INBOUND, OUTBOUND, outboundName, PASSTHROUGH } from '../translate/names.ts';
import { scopeOf, type TranslatedResource, translateResource } from '../translate/resource.ts';
import type { EncodedResource, ResourceSource, XdsClient } from '../xds/cache.ts';
import { groupOf } from './groups.ts';

export class TranslatedSource implements ResourceSource {
  private readonly context: TranslateContext;

  constructor(context: TranslateContext) {
    this.context = context;
  }

  scope(kind: ResourceKind, name: string, client: XdsClient): string {
    return scopeOf(this.context, kind, name, client);
  }

  encode(kind: ResourceKind, name: string, client: XdsClient): EncodedResource | undefined {
    const translated = translateResource(this.context, kind, name, client);
    if (translated === undefined) return undefined;
    const wire = encodeTranslated(translated, name);
    const version = resourceVersion(wire.bytes);
    const any = create(AnySchema, { typeUrl: wire.typeUrl, value: Uint8Array.from(wire.bytes) });
    return {
      version,
      any: toBinary(AnySchema, any),
      resource: toBinary(ResourceSchema, create(ResourceSchema, { name, version, resource: any })),
    };
  }

  group(kind: ResourceKind, name: string, podKey: string): string {
    return groupOf(kind, name, podKey);
  }

  names(kind: ResourceKind): readonly string[] {
    switch (kind) {
      case 'secret':
        return TRUST_SECRETS;
      case 'listener':
        return [INBOUND, OUTBOUND];
      case 'cluster':
        return [INBOUND, PASSTHROUGH, BLACKHOLE, ...this.servicePorts(), ...this.external(clusterNamesOf)];
      case 'route':
        return [...this.servicePorts(), ...this.external(routeNamesOf)];
      case 'endpoints':
        return this.servicePorts();
      case 'address':
        return [];
      default:
        return unreachable(kind);
    }
  }

  private external(namesOf: (external: ExternalService) => string[]): string[] {
    return [...new Set([...this.context.state.externalServices.values()].flatMap(namesOf))];
  }

  private servicePorts(): string[] {
    return [...this.context.state.services.values()].flatMap(({ metadata, ports }) =>
      ports.map(({ port }) => outboundName({ namespace: metadata.namespace, service: metadata.name, port })),
    );
  }
}

export function encodeTranslated(resource: TranslatedResource, name: string): WireResource {
  switch (resource.kind) {
    case 'secret':
      return encodeResource('secret', name, resource.value);
    case 'address':
      return encodeResource('address', name, resource.value);
    case 'listener':
      return encodeResource('listener', name, resource.value);
    case 'route':
      return encodeResource('route', name, resource.value);
    case 'cluster':
      return encodeResource('cluster', name, resource.value);
    case 'endpoints':
      return encodeResource('endpoints', name, resource.value);
    default:
      return unreachable(resource);
  }
}
