import { isMessage, type JsonObject } from '@bufbuild/protobuf';
import type { Any } from '@bufbuild/protobuf/wkt';
import type { RouteFilter } from '../model/route-filter.ts';
import { decodeCors, encodeCors } from './cors.ts';
import type { At } from './decoding.ts';
import { decodeHttpFault, encodeHttpFault, httpFaultSetting, readHttpFault } from './fault.ts';
import { CorsPolicySchema } from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { HTTPFaultSchema } from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { LocalRateLimitSchema } from './gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import { StatefulSessionPerRouteSchema } from './gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.ts';
import { decodeRouteRateLimit, encodeLocalRateLimit } from './local-rate-limit.ts';
import { packed } from './packed.ts';
import { decodeRouteSession, encodeRouteSession } from './session.ts';
import { AGE_MS_MAX, type StructReader } from './values.ts';

type PerFilter = Record<string, Any>;

function encodeOne(filter: RouteFilter): Any {
  switch (filter.kind) {
    case 'cors':
      return packed(CorsPolicySchema, encodeCors(filter.cors));
    case 'fault':
      return packed(HTTPFaultSchema, encodeHttpFault(filter.fault));
    case 'localRateLimit':
      return packed(LocalRateLimitSchema, encodeLocalRateLimit(filter.limit));
    case 'session':
      return packed(StatefulSessionPerRouteSchema, encodeRouteSession(filter.session));
  }
}

export const encodeRouteFilters = (filters: readonly RouteFilter[] | undefined): PerFilter =>
  Object.fromEntries((filters ?? []).map((filter) => [filter.name, encodeOne(filter)]));

/** What Envoy's messages cannot say, by the name of the filter. */
export function routeFilterSettings(filters: readonly RouteFilter[] | undefined): JsonObject {
  const settings: [string, JsonObject][] = [];
  for (const filter of filters ?? []) {
    if (filter.kind === 'fault') settings.push([filter.name, httpFaultSetting(filter.fault)]);
    else if (filter.kind === 'session' && filter.session !== undefined && filter.session.timeoutMs > 0) {
      settings.push([filter.name, { timeout_ms: filter.session.timeoutMs }]);
    }
  }
  const said = settings.filter(([, value]) => Object.keys(value).length > 0);
  return said.length === 0 ? {} : { filters: Object.fromEntries(said) };
}

/** `inherited`: what the virtual host and the route configuration say; a route overrides it filter by filter. */
export function decodeRouteFilters(
  typed: Readonly<PerFilter>,
  inherited: readonly RouteFilter[],
  settings: StructReader | undefined,
  at: At,
): readonly RouteFilter[] {
  const own = Object.entries(typed).flatMap(([name, any]) => {
    const filter = decodeOne(name, any, settings?.object(name), at.field('typed_per_filter_config').key(name));
    return filter === undefined ? [] : [filter];
  });
  settings?.end();
  const others = inherited.filter((one) => own.every(({ name }) => name !== one.name));
  // A map has no order: by name, so that what was sent is what is read.
  return [...own, ...others].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function decodeOne(name: string, any: Any, settings: StructReader | undefined, at: At): RouteFilter | undefined {
  const config = at.decoding.unpack(any);
  if (isMessage(config, CorsPolicySchema)) return { kind: 'cors', name, cors: decodeCors(config, at) };
  if (isMessage(config, HTTPFaultSchema)) {
    return { kind: 'fault', name, fault: { ...decodeHttpFault(config, at), ...readHttpFault(settings) } };
  }
  if (isMessage(config, StatefulSessionPerRouteSchema)) {
    const timeoutMs = settings?.number('timeout_ms', 0, AGE_MS_MAX) ?? 0;
    settings?.end();
    return { kind: 'session', name, session: decodeRouteSession(config, timeoutMs, at) };
  }
  if (isMessage(config, LocalRateLimitSchema)) {
    return { kind: 'localRateLimit', name, limit: decodeRouteRateLimit(config, at) };
  }
  // A type that is not known was refused already.
  if (config !== undefined) at.fail(`${config.$typeName} is nothing that a route sets of a filter`, undefined);
  return undefined;
}
