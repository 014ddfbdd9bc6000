/** Rules that the mesh cannot carry out. They are dropped, and the status says so; the others of the route serve. */
import type { AnyRoute, GRPCRoute, HTTPRoute } from '@weft/policies/crds/kinds';
import { compileLinearRegex } from '@weft/policies/kit/linear-regex';
import { filterFault } from './filter-faults.ts';
import { callPattern } from './grpc-match.ts';
import { unusableSession } from './session.ts';

type HttpRule = HTTPRoute['spec']['rules'][number];
type HttpMatch = HttpRule['matches'][number];
type GrpcRule = NonNullable<GRPCRoute['spec']['rules']>[number];

/** Rules by their place, and what is wrong with them by the field at fault. */
type DroppedRules = ReadonlyMap<number, string>;

const none: DroppedRules = new Map();
const judged = new WeakMap<AnyRoute, DroppedRules>();

export function droppedRules(route: AnyRoute): DroppedRules {
  if (route.kind === 'TCPRoute' || route.kind === 'TLSRoute') return none;
  // Objects never change, and compiling patterns is not for every translation.
  const known = judged.get(route);
  if (known !== undefined) return known;
  const found = new Map<number, string>();
  const faults = route.kind === 'HTTPRoute' ? route.spec.rules.map(httpFault) : (route.spec.rules ?? []).map(grpcFault);
  for (const [index, fault] of faults.entries()) {
    if (fault !== undefined) found.set(index, `spec.rules[${index}].${fault}`);
  }
  const dropped = found.size === 0 ? none : found;
  judged.set(route, dropped);
  return dropped;
}

function httpFault(rule: HttpRule): string | undefined {
  for (const [index, { path, method, headers, queryParams }] of rule.matches.entries()) {
    const fault =
      (method === 'CONNECT' ? tunnelFault(rule, path, queryParams) : undefined) ??
      patternFault('path', path) ??
      firstFault(headers, (one, at) => patternFault(`headers[${at}]`, one)) ??
      firstFault(queryParams, (one, at) => patternFault(`queryParams[${at}]`, one));
    if (fault !== undefined) return `matches[${index}].${fault}`;
  }
  return filterFault(rule) ?? unusableSession(rule.sessionPersistence);
}

/** RFC 9110 section 9.3.6: the target of CONNECT is a host and a port, without a path. */
function tunnelFault(
  { filters, backendRefs }: HttpRule,
  path: HttpMatch['path'],
  queryParams: HttpMatch['queryParams'],
): string | undefined {
  const nothing = 'requests of method CONNECT have none, so that the match would never hold; remove it';
  // The default of every match, which is of no request in particular.
  if (path.type !== 'PathPrefix' || path.value !== '/') return `path: ${nothing}`;
  if ((queryParams ?? []).length > 0) return `queryParams: ${nothing}`;
  const all = [...(filters ?? []), ...(backendRefs ?? []).flatMap((ref) => ref.filters ?? [])];
  if (all.some((filter) => (filter.urlRewrite?.path ?? filter.requestRedirect?.path) !== undefined)) {
    return 'method: requests of method CONNECT have no path that a filter could change; give them a rule of their own';
  }
  return undefined;
}

function grpcFault(rule: GrpcRule): string | undefined {
  for (const [index, { method, headers }] of rule.matches.entries()) {
    const fault =
      (method?.type === 'RegularExpression' ? methodFault(method) : undefined) ??
      firstFault(headers, (one, at) => patternFault(`headers[${at}]`, one));
    if (fault !== undefined) return `matches[${index}].${fault}`;
  }
  return filterFault(rule) ?? unusableSession(rule.sessionPersistence);
}

/** Each part alone first: two that do not compile may together make something that does. */
function methodFault(match: { readonly service?: string | undefined; readonly method?: string | undefined }) {
  for (const at of ['service', 'method'] as const) {
    const compiled = compileLinearRegex(match[at] ?? '');
    if (!compiled.ok) return `method.${at}: ${compiled.error}`;
  }
  const whole = compileLinearRegex(callPattern(match));
  return whole.ok ? undefined : `method: ${whole.error}`;
}

function firstFault<T>(
  list: readonly T[] | undefined,
  faultOf: (one: T, index: number) => string | undefined,
): string | undefined {
  for (const [index, one] of (list ?? []).entries()) {
    const fault = faultOf(one, index);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** A sidecar would refuse it, and with it all routes of the Service. */
function patternFault(at: string, match: { readonly type: string; readonly value: string }): string | undefined {
  if (match.type !== 'RegularExpression') return undefined;
  const compiled = compileLinearRegex(match.value);
  return compiled.ok ? undefined : `${at}.value: ${compiled.error}`;
}
