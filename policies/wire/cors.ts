import type { MessageInitShape } from '@bufbuild/protobuf';
import type { CorsPolicy } from '../model/cors.ts';
import type { At } from './decoding.ts';
import { decodeRuntimeFraction, encodeRuntimeFraction } from './fraction.ts';
import type {
  CorsPolicy as CorsMessage,
  CorsPolicySchema,
} from './gen/envoy/extensions/filters/http/cors/v3/cors_pb.ts';
import { decodeFieldValue } from './header-mutation.ts';
import { decodeStringMatch, encodeStringMatch } from './match.ts';

export const encodeCors = (cors: CorsPolicy): MessageInitShape<typeof CorsPolicySchema> => ({
  allowOriginStringMatch: cors.allowOrigins.map(encodeStringMatch),
  allowMethods: cors.allowMethods,
  allowHeaders: cors.allowHeaders,
  exposeHeaders: cors.exposeHeaders,
  maxAge: cors.maxAge,
  allowCredentials: cors.allowCredentials,
  forwardNotMatchingPreflights: cors.forwardsUnmatched,
  filterEnabled: encodeRuntimeFraction(cors.enabled),
});

export function decodeCors(message: CorsMessage, at: At): CorsPolicy {
  if (message.shadowEnabled !== undefined && decodeRuntimeFraction(message.shadowEnabled, at).numerator > 0) {
    at.field('shadow_enabled').fail(
      'only 0 is supported by Weft: it counts nothing that it does not enforce',
      undefined,
    );
  }
  const text = (name: 'allowMethods' | 'allowHeaders' | 'exposeHeaders' | 'maxAge', field: string): string =>
    decodeFieldValue(message[name], at.field(field));
  return {
    allowOrigins: message.allowOriginStringMatch.map((one, i) =>
      decodeStringMatch(one, at.field('allow_origin_string_match').index(i)),
    ),
    allowMethods: text('allowMethods', 'allow_methods'),
    allowHeaders: text('allowHeaders', 'allow_headers'),
    exposeHeaders: text('exposeHeaders', 'expose_headers'),
    maxAge: text('maxAge', 'max_age'),
    allowCredentials: message.allowCredentials ?? false,
    forwardsUnmatched: message.forwardNotMatchingPreflights ?? true,
    enabled: decodeRuntimeFraction(message.filterEnabled, at.field('filter_enabled')),
  };
}
