/** `requestLimits` of the OverloadPolicy of a workload: for what it is asked, and how much of it for what it asks. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { OverloadPolicy } from '@weft/policies/crds/kinds';
import { defaultHttpLimits, type HttpLimits } from '@weft/policies/model/listener';
import type { OverloadWinners } from './overload.ts';

type RequestLimits = NonNullable<OverloadPolicy['spec']['requestLimits']>;

const headBytes = (limits: RequestLimits): number =>
  limits.maxHeadKiB === undefined ? defaultHttpLimits.headBytesMax : limits.maxHeadKiB * 1_024;

const timeoutMs = (text: string | undefined, absentMs: number): number =>
  text === undefined ? absentMs : acceptedDurationMs(text);

export function inboundLimits(winners: OverloadWinners): HttpLimits {
  const limits = winners.requestLimits?.spec.requestLimits;
  const defaults = defaultHttpLimits;
  if (limits === undefined) return defaults;
  return {
    ...defaults,
    headBytesMax: headBytes(limits),
    headersCountMax: limits.maxHeaders ?? defaults.headersCountMax,
    requestLineBytesMax: limits.maxRequestLineBytes ?? defaults.requestLineBytesMax,
    fieldLineBytesMax: limits.maxHeaderLineBytes ?? defaults.fieldLineBytesMax,
    requestBodyBytesMax: limits.maxBodyBytes ?? defaults.requestBodyBytesMax,
    headTimeoutMs: timeoutMs(limits.headTimeout, defaults.headTimeoutMs),
    requestTimeoutMs: timeoutMs(limits.requestTimeout, defaults.requestTimeoutMs),
    streamIdleTimeoutMs: timeoutMs(limits.streamIdleTimeout, defaults.streamIdleTimeoutMs),
    idleTimeoutMs: timeoutMs(limits.idleTimeout, defaults.idleTimeoutMs),
  };
}

/**
 * A head that a server takes has to come through the sidecar of its caller first. What is less than without a policy
 * is the server's business alone: the same workload may call others that take more.
 */
export function outboundLimits(winners: OverloadWinners): HttpLimits {
  const limits = winners.requestLimits?.spec.requestLimits;
  const defaults = defaultHttpLimits;
  if (limits === undefined) return defaults;
  return {
    ...defaults,
    headBytesMax: Math.max(headBytes(limits), defaults.headBytesMax),
    headersCountMax: Math.max(limits.maxHeaders ?? 0, defaults.headersCountMax),
  };
}
