import type { Clock } from '@weft/policies/kit/clock';
import type { KeyedBuckets } from '@weft/policies/kit/keyed-buckets';
import type { TokenBucket } from '@weft/policies/kit/token-bucket';
import type { RateLimit, RateLimitKey } from '@weft/policies/model/overload';
import { noMutation } from '@weft/policies/model/route';
import type { ResponseHead } from '../../http/exchange.ts';
import { pathLength } from '../../route/path.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter, Verdict } from '../filter.ts';
import { callerOf, matchTest, type Test } from '../subject.ts';
import type { GlobalLimit, LimitCounts, Limits } from './limits.ts';
import { addLimitFields, limited } from './reply.ts';

interface CompiledLimit {
  readonly limit: RateLimit;
  readonly matches: Test | undefined;
  readonly one: TokenBucket | undefined;
  readonly keyed: KeyedBuckets | undefined;
  readonly global: GlobalLimit | undefined;
  readonly counts: LimitCounts;
}

interface RateLimitDeps {
  readonly limits: Limits;
  readonly clock: Clock;
}

/** Limits of an OverloadPolicy by what a request is and who sends it. A request takes a token of each that it matches, or of none. */
export class RateLimitsFilter implements RequestFilter {
  private readonly all: readonly CompiledLimit[];
  private readonly deps: RateLimitDeps;
  private readonly taken: TokenBucket[] = [];

  constructor(limits: readonly RateLimit[], deps: RateLimitDeps) {
    const nowMs = deps.clock.nowMs();
    this.deps = deps;
    this.all = limits.map((limit): CompiledLimit => {
      const global = limit.global ? deps.limits.globalOf(limit, nowMs) : undefined;
      const keyed = limit.key === undefined ? undefined : deps.limits.keyedOf(limit);
      const one =
        keyed === undefined ? (global?.bucket ?? deps.limits.bucketOf(limit.name, limit.bucket, nowMs)) : undefined;
      return { limit, matches: matchTest(limit.matches), one, keyed, global, counts: deps.limits.countsOf(limit.name) };
    });
  }

  onRequest(context: RequestContext): Verdict {
    const nowMs = this.deps.clock.nowMs();
    const { taken } = this;
    taken.length = 0;
    for (const { limit, matches, one, keyed, global, counts } of this.all) {
      if (matches?.(context) === false) continue;
      if (global !== undefined) global.demand++;
      const bucket =
        one ??
        (keyed === undefined || limit.key === undefined ? undefined : keyed.of(keyOf(limit.key, context), nowMs));
      if (bucket === undefined) continue;
      if (!bucket.has(nowMs)) {
        counts.refused++;
        context.rule = limit.name;
        return limited(limit.name, limit.status, bucket, nowMs, limit.rateLimitHeaders, noMutation);
      }
      counts.admitted++;
      taken.push(bucket);
      if (limit.rateLimitHeaders) tightest(context, bucket, nowMs);
    }
    for (const bucket of taken) bucket.take(nowMs);
    return undefined;
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    if (context.rateLimit !== undefined) addLimitFields(head.headers, context.rateLimit, this.deps.clock.nowMs());
  }
}

/** Of several limits the one that is nearest is told. */
export function tightest(context: RequestContext, bucket: TokenBucket, nowMs: number): void {
  const known = context.rateLimit;
  if (known === undefined || bucket.remaining(nowMs) < known.remaining(nowMs)) context.rateLimit = bucket;
}

function keyOf(key: RateLimitKey, context: RequestContext): string {
  switch (key.kind) {
    case 'header':
      // A host has no case (RFC 9110 section 4.2.3); another way to write it is no other bucket.
      if (key.name === 'host') return context.head.authority.toLowerCase();
      return context.head.headers.combined(key.name) ?? '';
    case 'path':
      return context.path.slice(0, pathLength(context.path));
    case 'identity':
      return callerOf(context);
  }
}
