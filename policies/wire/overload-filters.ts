/** HTTP filters by which a server protects itself. */
import { isMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import type { HttpFilter } from '../model/listener.ts';
import { decodeAdmission, decodeGradient, encodeAdmission, encodeGradient } from './admission.ts';
import type { At } from './decoding.ts';
import { AdaptiveConcurrencySchema } from './gen/envoy/extensions/filters/http/adaptive_concurrency/v3/adaptive_concurrency_pb.ts';
import { LocalRateLimitSchema } from './gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import type { HttpFilterSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { AdmissionSchema, RateLimitsSchema } from './gen/weft/v1/overload_pb.ts';
import { decodeLocalRateLimit, encodeLocalRateLimit } from './local-rate-limit.ts';
import { decodeRateLimits, encodeRateLimits } from './rate-limits.ts';
import { typedConfig } from './typed-config.ts';

export type OverloadFilter = Extract<
  HttpFilter,
  { readonly kind: 'localRateLimit' | 'rateLimits' | 'adaptiveConcurrency' | 'admission' }
>;

/** A sidecar of an earlier version passes over what it does not know, rather than refuse the listener. */
const named = (name: string) => ({ name, isOptional: name.startsWith('weft.dev/') });

export function encodeOverloadFilter(filter: OverloadFilter): MessageInitShape<typeof HttpFilterSchema> {
  const { name } = filter;
  switch (filter.kind) {
    case 'localRateLimit':
      return { ...named(name), configType: typedConfig(LocalRateLimitSchema, encodeLocalRateLimit(filter.limit)) };
    case 'adaptiveConcurrency':
      return { ...named(name), configType: typedConfig(AdaptiveConcurrencySchema, encodeGradient(filter.gradient)) };
    // Envoy passes over what it does not know.
    case 'rateLimits':
      return { name, isOptional: true, configType: typedConfig(RateLimitsSchema, encodeRateLimits(filter.limits)) };
    case 'admission':
      return { name, isOptional: true, configType: typedConfig(AdmissionSchema, encodeAdmission(filter.admission)) };
  }
}

/** Undefined: none of these filters. */
export function decodeOverloadFilter(name: string, config: Message | undefined, at: At): OverloadFilter | undefined {
  if (isMessage(config, LocalRateLimitSchema)) {
    return { kind: 'localRateLimit', name, limit: decodeLocalRateLimit(config, at) };
  }
  if (isMessage(config, RateLimitsSchema)) {
    return { kind: 'rateLimits', name, limits: decodeRateLimits(config.limits, at.field('limits')) };
  }
  if (isMessage(config, AdmissionSchema)) {
    return { kind: 'admission', name, admission: decodeAdmission(config, at) };
  }
  if (isMessage(config, AdaptiveConcurrencySchema)) {
    const gradient = decodeGradient(config, at);
    return gradient && { kind: 'adaptiveConcurrency', name, gradient };
  }
  return undefined;
}
