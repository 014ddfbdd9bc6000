/** FaultPolicies of a destination: as settings of its routes, and for opaque bytes of its cluster. */
import { acceptedDurationMs } from '@weft/policies/crds/duration';
import type { FaultPolicy } from '@weft/policies/crds/kinds';
import type { HttpFault, TcpFault } from '@weft/policies/model/fault';
import type { Fraction } from '@weft/policies/model/fraction';
import type { HeaderMatch } from '@weft/policies/model/match';
import { FAULT_FILTER, type RouteFilter as FilterSetting } from '@weft/policies/model/route-filter';
import type { ClusterState } from '../index/state.ts';
import { escapeRegex, parsePattern } from './patterns.ts';
import { type Attached, attachedPolicies, conflictsAmong, type PolicyConflict, type PolicyTarget } from './policy.ts';

type Spec = FaultPolicy['spec'];
type Match = NonNullable<Spec['match']>;

function faultsFor(state: ClusterState, clientNamespace: string, target: PolicyTarget): Attached<FaultPolicy>[] {
  if (state.faultPolicies.size === 0) return [];
  return attachedPolicies(state, state.faultPolicies, clientNamespace, target).filter(({ policy }) => {
    const sources = policy.spec.match?.sourceNamespaces;
    return sources === undefined || sources.includes(clientNamespace);
  });
}

/** One policy decides: what two say together would be a fault that nobody asked for. */
export function faultSetting(state: ClusterState, clientNamespace: string, target: PolicyTarget): FilterSetting[] {
  const spec = faultsFor(state, clientNamespace, target)[0]?.policy.spec;
  return spec === undefined ? [] : [{ kind: 'fault', name: FAULT_FILTER, fault: httpFault(spec) }];
}

/** What is about requests never fits a connection of opaque bytes. */
export const isAboutRequests = ({ paths, methods, headers }: Match): boolean =>
  (paths ?? methods ?? headers) !== undefined;

export function tcpFault(
  state: ClusterState,
  clientNamespace: string,
  target: PolicyTarget,
): { readonly fault?: TcpFault } {
  const spec = faultsFor(state, clientNamespace, target)[0]?.policy.spec;
  if (spec === undefined || (spec.match !== undefined && isAboutRequests(spec.match))) return {};
  const { delay, reset, maxActiveFaults } = spec;
  const { requestRate, responseRate } = ratesOf(spec);
  if ((delay ?? reset ?? requestRate ?? responseRate) === undefined) return {};
  return {
    fault: {
      ...(delay === undefined ? {} : { delay: { delayMs: acceptedDurationMs(delay.fixed), share: shareOf(delay) } }),
      ...(reset === undefined ? {} : { reset: { share: shareOf(reset) } }),
      ...(requestRate === undefined ? {} : { requestRate }),
      ...(responseRate === undefined ? {} : { responseRate }),
      ...(maxActiveFaults === undefined ? {} : { activeMax: maxActiveFaults }),
    },
  };
}

function httpFault(spec: Spec): HttpFault {
  const { delay, abort, reset, maxActiveFaults } = spec;
  const { requestRate, responseRate } = ratesOf(spec);
  return {
    headers: spec.match === undefined ? [] : headerMatches(spec.match),
    ...(delay === undefined ? {} : { delay: { delayMs: acceptedDurationMs(delay.fixed), share: shareOf(delay) } }),
    ...(abort === undefined ? {} : { abort: { status: statusOf(abort), share: shareOf(abort) } }),
    ...(responseRate === undefined ? {} : { responseRate }),
    ...(maxActiveFaults === undefined ? {} : { activeMax: maxActiveFaults }),
    ...(reset === undefined ? {} : { reset: { share: shareOf(reset) } }),
    ...(requestRate === undefined ? {} : { requestRate }),
  };
}

function ratesOf({ bandwidth }: Spec): Pick<TcpFault, 'requestRate' | 'responseRate'> {
  if (bandwidth === undefined) return {};
  const share = shareOf(bandwidth);
  const { requestKiBPerSecond: request, responseKiBPerSecond: response } = bandwidth;
  return {
    ...(request === undefined ? {} : { requestRate: { kibPerSecond: request, share } }),
    ...(response === undefined ? {} : { responseRate: { kibPerSecond: response, share } }),
  };
}

const statusOf = ({ httpStatus, grpcStatus }: NonNullable<Spec['abort']>) =>
  grpcStatus === undefined
    ? ({ kind: 'http', code: httpStatus ?? 500 } as const)
    : ({ kind: 'grpc', code: grpcStatus } as const);

const millionth = 1_000_000;

function shareOf({ percent }: { readonly percent: number }): Fraction {
  if (Number.isInteger(percent)) return { numerator: percent, denominator: 100 };
  return { numerator: Math.round((percent / 100) * millionth), denominator: millionth };
}

/** As Envoy's fault filter reads them: all have to match, pseudo-fields too. */
function headerMatches({ paths, methods, headers }: Match): HeaderMatch[] {
  const matches: HeaderMatch[] = [];
  const add = (name: string, pattern: string): void => {
    matches.push({ name, value: { kind: 'regex', value: pattern }, invert: false });
  };
  if (methods !== undefined) add(':method', methods.join('|'));
  if (paths !== undefined) add(':path', `(${paths.map((one) => patternRegex(one, '[^?]*')).join('|')})(\\?.*)?`);
  for (const { name, values } of headers ?? []) {
    const lower = name.toLowerCase();
    // It is the authority by then, wherever it was said (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1).
    const host = lower === 'host';
    const named = host ? ':authority' : lower;
    if (values === undefined) matches.push({ name: named, value: { kind: 'present' }, invert: false });
    else add(named, values.map((one) => (host ? hostRegex(one) : patternRegex(one, '.*'))).join('|'));
  }
  return matches;
}

/** A host without a port also means the host with any port (RFC 9110 section 7.2). */
const hostRegex = (text: string): string => `${patternRegex(text, '.*')}${/:[0-9]+$/.test(text) ? '' : '(:[0-9]+)?'}`;

function patternRegex(text: string, any: string): string {
  const pattern = parsePattern(text);
  switch (pattern.kind) {
    case 'any':
      return any;
    case 'exact':
      return escapeRegex(pattern.value);
    case 'prefix':
      return `${escapeRegex(pattern.value)}${any}`;
    case 'suffix':
      return `${any}${escapeRegex(pattern.value)}`;
  }
}

/** Of two policies at one level the younger one says nothing at all. */
export function faultConflicts(
  state: ClusterState,
  clientNamespace: string,
  target: PolicyTarget,
): readonly PolicyConflict[] {
  return conflictsAmong(faultsFor(state, clientNamespace, target), () => ['spec']);
}
