/** RequestMirror filters of rules and of backends (GEP-3171 for shares). */
import { always, type Fraction } from '@weft/policies/model/fraction';
import type { Mirror, MirrorDiff } from '@weft/policies/model/mirror';
import type { ClusterState } from '../index/state.ts';
import { backendCluster } from './backends.ts';
import type { MergedPolicy } from './policy.ts';
import type { RequestRoute, RouteFilter } from './rules.ts';

type RequestMirror = NonNullable<RouteFilter['requestMirror']>;
type Filters = readonly { readonly requestMirror?: RequestMirror | undefined }[] | undefined;

const mirrorFilters = (filters: Filters): RequestMirror[] =>
  (filters ?? []).flatMap(({ requestMirror }) => (requestMirror === undefined ? [] : [requestMirror]));

/** A backend that cannot be resolved gets no copies; the status says so. */
export function mirrorsOf(
  state: ClusterState,
  route: RequestRoute,
  filters: Filters,
  policy: MergedPolicy,
): { readonly mirrors?: readonly Mirror[]; readonly mirrorDiff?: MirrorDiff } {
  const mirrors = mirrorFilters(filters).flatMap((mirror): Mirror[] => {
    const cluster = backendCluster(state, route, mirror.backendRef);
    return cluster === '' ? [] : [{ cluster, share: shareOf(mirror), keepsHost: false }];
  });
  if (mirrors.length === 0) return {};
  const { mirrorDiff: diff } = policy;
  return { mirrors, ...(diff === undefined ? {} : { mirrorDiff: diffOf(diff) }) };
}

const diffOf = ({ headers, ignoreBody, sampleBytesMax }: NonNullable<MergedPolicy['mirrorDiff']>): MirrorDiff => ({
  headers: headers.map((name) => name.toLowerCase()),
  ignoresBody: ignoreBody,
  bodyBytesMax: sampleBytesMax,
});

const denominators = [100, 10_000, 1_000_000] as const;

/** To the millionth, which is as fine as Envoy takes it. */
function shareOf({ percent, fraction }: RequestMirror): Fraction {
  if (percent !== undefined) return { numerator: percent, denominator: 100 };
  if (fraction === undefined) return always;
  const { numerator } = fraction;
  const denominator = denominators.find((one) => one === fraction.denominator);
  if (denominator !== undefined) return { numerator, denominator };
  return { numerator: Math.round((numerator / fraction.denominator) * 1_000_000), denominator: 1_000_000 };
}
