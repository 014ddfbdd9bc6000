import type { MessageInitShape } from '@bufbuild/protobuf';
import type { TokenBucketSettings } from '../kit/token-bucket.ts';
import type { At } from './decoding.ts';
import type { TokenBucket, TokenBucketSchema } from './gen/envoy/type/v3/token_bucket_pb.ts';
import { decodeDuration, encodeDuration } from './values.ts';

/** Envoy takes no shorter one. */
const FILL_INTERVAL_MS_MIN = 50;

export const encodeTokenBucket = (bucket: TokenBucketSettings): MessageInitShape<typeof TokenBucketSchema> => ({
  maxTokens: bucket.tokensMax,
  tokensPerFill: bucket.tokensPerFill,
  fillInterval: encodeDuration(bucket.fillIntervalMs),
});

export function decodeTokenBucket(bucket: TokenBucket, at: At): TokenBucketSettings {
  const { maxTokens, fillInterval, tokensPerFill = 1 } = bucket;
  if (maxTokens < 1) at.field('max_tokens').fail('has to be at least 1', undefined);
  if (tokensPerFill < 1) at.field('tokens_per_fill').fail('has to be at least 1', undefined);
  const here = at.field('fill_interval');
  if (fillInterval === undefined) here.fail('is required', undefined);
  const fillIntervalMs = decodeDuration(fillInterval, FILL_INTERVAL_MS_MIN, here);
  if (fillIntervalMs < FILL_INTERVAL_MS_MIN) here.fail(`has to be at least ${FILL_INTERVAL_MS_MIN} ms`, undefined);
  return { tokensMax: maxTokens, tokensPerFill, fillIntervalMs };
}
