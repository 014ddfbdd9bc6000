import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { TokenBucket } from '@weft/policies/kit/token-bucket';
import { isAmong } from '@weft/policies/model/fraction';
import type { HttpConnectionManager } from '@weft/policies/model/listener';
import type { LocalRateLimit } from '@weft/policies/model/overload';
import type { ResponseHead } from '../../http/exchange.ts';
import type { CompiledRoute } from '../../route/table.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter, Verdict } from '../filter.ts';
import type { HeaderFormats } from '../header-formats.ts';
import { routeSetting } from '../route-setting.ts';
import type { LimitCounts, Limits } from './limits.ts';
import { tightest } from './rate-limits.ts';
import { addLimitFields, limited } from './reply.ts';

interface LocalRateLimitDeps {
  readonly hcm: HttpConnectionManager;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly recorder: Recorder;
  readonly headerFormats: HeaderFormats;
}

/** Names of the mesh's own limits, whose buckets all chains of a workload share and no version of a listener resets. */
const OWN = 'weft.dev/';

/** Routes that bring a limit of their own, wherever they are: one bucket for each. */
const ofRoutes = new WeakMap<LocalRateLimit, TokenBucket>();

/** Envoy's local rate limit. */
export class LocalRateLimitFilter implements RequestFilter {
  readonly onRequest?: (context: RequestContext) => Verdict;
  readonly onRoute?: (context: RequestContext, found: CompiledRoute) => Verdict;
  private readonly limit: LocalRateLimit;
  private readonly bucket: TokenBucket | undefined;
  private readonly deps: LocalRateLimitDeps;
  private readonly counts: LimitCounts;

  constructor(name: string, limit: LocalRateLimit, deps: LocalRateLimitDeps) {
    this.limit = limit;
    this.deps = deps;
    this.counts = deps.limits.countsOf(limit.statPrefix);
    const nowMs = deps.clock.nowMs();
    if (limit.bucket === undefined) this.bucket = undefined;
    else if (name.startsWith(OWN)) this.bucket = deps.limits.bucketOf(name, limit.bucket, nowMs);
    else this.bucket = new TokenBucket(limit.bucket, nowMs, deps.limits.share);
    // Where routes may say otherwise, the route has to be known first; elsewhere it need not be looked for.
    if (mayVary(deps.hcm, name))
      this.onRoute = (context, { route }) => this.judgeOf(context, routeSetting(route, 'localRateLimit', name)?.limit);
    else this.onRequest = (context) => this.judge(context, this.limit, this.bucket);
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    if (context.rateLimit !== undefined) addLimitFields(head.headers, context.rateLimit, this.deps.clock.nowMs());
  }

  private judgeOf(context: RequestContext, own: LocalRateLimit | undefined): Verdict {
    if (own?.bucket === undefined) return this.judge(context, this.limit, this.bucket);
    let bucket = ofRoutes.get(own);
    if (bucket === undefined) {
      bucket = new TokenBucket(own.bucket, this.deps.clock.nowMs(), this.deps.limits.share);
      ofRoutes.set(own, bucket);
    }
    return this.judge(context, own, bucket);
  }

  private judge(context: RequestContext, limit: LocalRateLimit, bucket: TokenBucket | undefined): Verdict {
    if (bucket === undefined || !isAmong(limit.enabled, this.deps.prng)) return undefined;
    const nowMs = this.deps.clock.nowMs();
    if (limit.rateLimitHeaders) tightest(context, bucket, nowMs);
    if (bucket.take(nowMs)) {
      this.counts.admitted++;
      return undefined;
    }
    if (!isAmong(limit.enforced, this.deps.prng)) {
      this.deps.recorder.count('ratelimit.not_enforced');
      this.deps.headerFormats.apply(context, context.head.headers, limit.requestHeaders);
      return undefined;
    }
    this.counts.refused++;
    context.rule = limit.statPrefix;
    return limited(limit.statPrefix, limit.status, bucket, nowMs, limit.rateLimitHeaders, limit.responseHeaders);
  }
}

function mayVary({ route }: HttpConnectionManager, name: string): boolean {
  if (route.kind === 'rds') return true;
  return route.config.virtualHosts.some(({ routes }) =>
    routes.some((one) => routeSetting(one, 'localRateLimit', name) !== undefined),
  );
}
