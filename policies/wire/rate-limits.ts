/** Rate limits of OverloadPolicies that Envoy's filters cannot say: `weft.v1.RateLimits`. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RateLimit, RequestMatch } from '../model/overload.ts';
import { decodePermission, decodePrincipal, encodePermission, encodePrincipal } from './authorization.ts';
import type { At } from './decoding.ts';
import type {
  RateLimit as RateLimitMessage,
  RateLimitSchema,
  RateLimitsSchema,
  RequestMatch as RequestMatchMessage,
  RequestMatchSchema,
} from './gen/weft/v1/overload_pb.ts';
import { decodeTokenBucket, encodeTokenBucket } from './token-bucket.ts';

export const KEYS_MAX = 65_536;

export const encodeMatch = (match: RequestMatch): MessageInitShape<typeof RequestMatchSchema> => ({
  permissions: match.permissions.map(encodePermission),
  principals: match.principals.map(encodePrincipal),
});

export function decodeMatches(messages: readonly RequestMatchMessage[], at: At): RequestMatch[] {
  return messages.map(({ permissions, principals }, index) => {
    const here = at.index(index);
    if (permissions.length === 0) here.field('permissions').fail('at least one is required', undefined);
    if (principals.length === 0) here.field('principals').fail('at least one is required', undefined);
    return {
      permissions: permissions.map((item, i) => decodePermission(item, here.field('permissions').index(i))),
      principals: principals.map((item, i) => decodePrincipal(item, here.field('principals').index(i))),
    };
  });
}

function encodeKey(key: RateLimit['key']): MessageInitShape<typeof RateLimitSchema>['key'] {
  switch (key?.kind) {
    case undefined:
      return { case: undefined };
    case 'header':
      return { case: 'header', value: key.name };
    case 'path':
      return { case: 'path', value: true };
    case 'identity':
      return { case: 'identity', value: true };
  }
}

function decodeKey({ key }: RateLimitMessage, at: At): RateLimit['key'] {
  switch (key.case) {
    case undefined:
      return undefined;
    case 'header':
      return { kind: 'header', name: key.value === '' ? at.field('header').fail('is required', '') : key.value };
    case 'path':
    case 'identity':
      if (!key.value) at.field(key.case).fail('has to be true', undefined);
      return { kind: key.case };
  }
}

export const encodeRateLimits = (limits: readonly RateLimit[]): MessageInitShape<typeof RateLimitsSchema> => ({
  limits: limits.map((limit) => ({
    name: limit.name,
    matches: limit.matches.map(encodeMatch),
    tokenBucket: encodeTokenBucket(limit.bucket),
    key: encodeKey(limit.key) ?? { case: undefined },
    keysMax: limit.keysMax,
    global: limit.global,
    status: limit.status,
    rateLimitHeaders: limit.rateLimitHeaders,
  })),
});

export function decodeRateLimits(messages: readonly RateLimitMessage[], at: At): RateLimit[] {
  return messages.map((message, index) => {
    const here = at.index(index);
    const { name, tokenBucket, keysMax, status } = message;
    if (name === '') here.field('name').fail('is required', undefined);
    if (tokenBucket === undefined) here.field('token_bucket').fail('is required', undefined);
    if (keysMax < 1 || keysMax > KEYS_MAX) here.field('keys_max').fail(`has to be from 1 to ${KEYS_MAX}`, undefined);
    if (status < 400 || status > 599) here.field('status').fail('has to be from 400 to 599', undefined);
    return {
      name,
      matches: decodeMatches(message.matches, here.field('matches')),
      bucket:
        tokenBucket === undefined
          ? { tokensMax: 1, tokensPerFill: 1, fillIntervalMs: 1_000 }
          : decodeTokenBucket(tokenBucket, here.field('token_bucket')),
      key: decodeKey(message, here),
      keysMax,
      global: message.global,
      status,
      rateLimitHeaders: message.rateLimitHeaders,
    };
  });
}
