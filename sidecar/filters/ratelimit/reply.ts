import type { TokenBucket } from '@weft/policies/kit/token-bucket';
import type { HeaderMutation, HeaderValue } from '@weft/policies/model/route';
import type { Headers } from '../../http/headers.ts';
import type { LocalReply } from '../filter.ts';

const SECONDS_MAX = 86_400;

const seconds = (ms: number): string => String(Math.min(SECONDS_MAX, Math.max(1, Math.ceil(ms / 1_000))));

/** Third draft of draft-ietf-httpapi-ratelimit-headers, in the names that Envoy gives them. */
function fields(bucket: TokenBucket, nowMs: number): readonly HeaderValue[] {
  const waitMs = bucket.waitMs(nowMs);
  return [
    { name: 'x-ratelimit-limit', value: String(bucket.limit) },
    { name: 'x-ratelimit-remaining', value: String(bucket.remaining(nowMs)) },
    { name: 'x-ratelimit-reset', value: waitMs === 0 ? '0' : seconds(waitMs) },
  ];
}

export function addLimitFields(headers: Headers, bucket: TokenBucket, nowMs: number): void {
  for (const { name, value } of fields(bucket, nowMs)) headers.set(name, value);
}

/** `Retry-After` says when there will be a token again (RFC 9110 section 10.2.3). */
export function limited(
  name: string,
  status: number,
  bucket: TokenBucket,
  nowMs: number,
  showsLimit: boolean,
  added: HeaderMutation,
): LocalReply {
  const own: HeaderValue[] = [{ name: 'retry-after', value: seconds(bucket.waitMs(nowMs)) }];
  if (showsLimit) own.push(...fields(bucket, nowMs));
  return {
    kind: 'reply',
    status,
    body: 'local_rate_limited',
    headers: { ...added, set: [...own, ...added.set] },
    flag: 'RL',
    detail: `rate limit ${name}`,
  };
}
