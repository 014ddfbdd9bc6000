import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Fraction } from '../model/fraction.ts';
import type { HeaderSide } from '../model/header-format.ts';
import type { LocalRateLimit } from '../model/overload.ts';
import type { At } from './decoding.ts';
import { decodeFraction, encodeRuntimeFraction } from './fraction.ts';
import type { HeaderValueOption, RuntimeFractionalPercent } from './gen/envoy/config/core/v3/base_pb.ts';
import { XRateLimitHeadersRFCVersion as HeadersVersion } from './gen/envoy/extensions/common/ratelimit/v3/ratelimit_pb.ts';
import type {
  LocalRateLimit as LocalRateLimitMessage,
  LocalRateLimitSchema,
} from './gen/envoy/extensions/filters/http/local_ratelimit/v3/local_rate_limit_pb.ts';
import type { StatusCode } from './gen/envoy/type/v3/http_status_pb.ts';
import { decodeMutation, encodeMutation } from './header-mutation.ts';
import { decodeTokenBucket, encodeTokenBucket } from './token-bucket.ts';

const TOO_MANY_REQUESTS = 429;
const HEADERS_MAX = 10;

/** Absent: for none, unlike elsewhere in Envoy's API. */
const decodeShare = (message: RuntimeFractionalPercent | undefined, at: At): Fraction =>
  decodeFraction(message?.defaultValue, at.field('default_value'));

export const encodeLocalRateLimit = (limit: LocalRateLimit): MessageInitShape<typeof LocalRateLimitSchema> => ({
  statPrefix: limit.statPrefix,
  status: { code: limit.status as StatusCode },
  ...(limit.bucket === undefined ? {} : { tokenBucket: encodeTokenBucket(limit.bucket) }),
  filterEnabled: encodeRuntimeFraction(limit.enabled),
  filterEnforced: encodeRuntimeFraction(limit.enforced),
  responseHeadersToAdd: encodeMutation(limit.responseHeaders),
  requestHeadersToAddWhenNotEnforced: encodeMutation(limit.requestHeaders),
  enableXRatelimitHeaders: limit.rateLimitHeaders ? HeadersVersion.DRAFT_VERSION_03 : HeadersVersion.OFF,
  rateLimitedAsResourceExhausted: true,
});

/** `rate_limited_as_resource_exhausted` is how Weft answers gRPC in any case (`codeOfReply`). */
export function decodeLocalRateLimit(message: LocalRateLimitMessage, at: At): LocalRateLimit {
  const { status, tokenBucket } = message;
  if (message.statPrefix === '') at.field('stat_prefix').fail('is required', undefined);
  const added = (options: readonly HeaderValueOption[], side: HeaderSide, here: At) => {
    if (options.length > HEADERS_MAX) here.fail(`more than ${HEADERS_MAX}`, undefined);
    return decodeMutation(options, [], side, here);
  };
  return {
    statPrefix: message.statPrefix,
    bucket: tokenBucket && decodeTokenBucket(tokenBucket, at.field('token_bucket')),
    enabled: decodeShare(message.filterEnabled, at.field('filter_enabled')),
    enforced: decodeShare(message.filterEnforced, at.field('filter_enforced')),
    // As in Envoy, what is no error is not taken.
    status: status === undefined || status.code < 400 ? TOO_MANY_REQUESTS : status.code,
    responseHeaders: added(message.responseHeadersToAdd, 'response', at.field('response_headers_to_add')),
    requestHeaders: added(
      message.requestHeadersToAddWhenNotEnforced,
      'request',
      at.field('request_headers_to_add_when_not_enforced'),
    ),
    rateLimitHeaders: message.enableXRatelimitHeaders === HeadersVersion.DRAFT_VERSION_03,
  };
}

/** Envoy: a bucket of the listener's own is not that of a route, which has to bring one. */
export function decodeRouteRateLimit(message: LocalRateLimitMessage, at: At): LocalRateLimit {
  if (message.tokenBucket === undefined) at.field('token_bucket').fail('is required of a route', undefined);
  return decodeLocalRateLimit(message, at);
}
