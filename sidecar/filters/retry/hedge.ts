import type { DelayedHedge, HedgePolicy } from '@weft/policies/model/retry';
import type { ClusterRuntime } from '../../cluster/runtime.ts';
import type { ProxyError } from '../../http/errors.ts';
import type { ResponseHead } from '../../http/exchange.ts';

/** Tells an upstream that another one was faster. */
export const lostRace: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'another attempt at the request was answered first',
};

/** How long to wait for an attempt before another one is made; undefined: it is not known yet. */
export function hedgeDelayMs({ delay }: DelayedHedge, runtime: ClusterRuntime): number | undefined {
  if (delay.kind === 'fixed') return delay.delayMs;
  const observedMs = runtime.latencies.percentile(delay.percentile);
  return observedMs === undefined ? undefined : Math.max(observedMs, delay.delayMsMin);
}

interface Timed {
  tookMs(): number;
}

const wantsPercentile = (hedge: HedgePolicy | undefined): boolean => hedge?.delayed?.delay.kind === 'percentile';

export function observeAnswer(
  hedge: HedgePolicy | undefined,
  runtime: ClusterRuntime,
  attempt: Timed,
  { status }: ResponseHead,
): void {
  if (wantsPercentile(hedge) && status < 500) runtime.latencies.observe(attempt.tookMs());
}

/** It would have taken at least as long as until now: without that the slow ones would be missing from what is known. */
export function observeLoser(hedge: HedgePolicy | undefined, runtime: ClusterRuntime, attempt: Timed): void {
  if (wantsPercentile(hedge)) runtime.latencies.observe(attempt.tookMs());
}
