import type { AnyRoute } from '@weft/policies/crds/kinds';
import type { Fraction } from '@weft/policies/model/fraction';
import { type ForwardAction, noMutation, type Route, type RouteConfiguration } from '@weft/policies/model/route';
import type { Service } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import { routesFor } from './attachment.ts';
import { backendCluster, resolveBackend } from './backends.ts';
import type { TranslateContext } from './context.ts';
import { corsSetting } from './cors.ts';
import { faultSetting } from './fault.ts';
import { actsAlone, headerMutations, isUnresolvable, redirectOf, urlRewrite } from './filters.ts';
import { hashKeysOf } from './load-balancing.ts';
import { compareRanks } from './match.ts';
import { mirrorsOf } from './mirror.ts';
import { outboundName, type ServicePortRef } from './names.ts';
import { type MergedPolicy, mergedPolicy } from './policy.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';
import { type RequestTimes, requestTimes } from './retry.ts';
import { type HttpBackendRef, type RequestRule, type RouteFilter, requestRules } from './rules.ts';
import { sessionSetting } from './session.ts';

interface Destination {
  readonly context: TranslateContext;
  readonly clientNamespace: string;
  readonly service: Service;
  readonly port: Service['ports'][number];
}

/** Routes to a Service port as clients of a namespace see them. */
export function translateRoutes(
  context: TranslateContext,
  clientNamespace: string,
  ref: ServicePortRef,
): RouteConfiguration | undefined {
  const service = context.state.services.get(keyOf(ref.namespace, ref.service));
  const port = service?.ports.find((one) => one.port === ref.port);
  if (service === undefined || port === undefined) return undefined;
  if (!carriesHttp(servicePortProtocol(context.state, service, port))) return undefined;
  const destination = { context, clientNamespace, service, port };
  const attached = routesFor(context.state, clientNamespace, service, port).filter(isForRequests);
  const name = outboundName(ref);
  // Once there is a route nothing but routes counts: what none of them matches is a 404 (GEP-1294, "Route presence").
  const routes = attached.length === 0 ? defaultRoutes(destination, name) : attachedRoutes(destination, attached);
  return { name, virtualHosts: [{ name, domains: ['*'], routes }] };
}

const isForRequests = ({ kind }: AnyRoute): boolean => kind === 'HTTPRoute' || kind === 'GRPCRoute';

function defaultRoutes({ context, clientNamespace, service, port }: Destination, cluster: string): Route[] {
  const { state } = context;
  const target = { service, port };
  const faults = faultSetting(state, clientNamespace, target);
  return plainRoutes(mergedPolicy(state, clientNamespace, target), cluster, 'default', faults);
}

/** Everything to one cluster. */
export function plainRoutes(
  policy: MergedPolicy,
  cluster: string,
  name = 'default',
  filters: NonNullable<Route['filters']> = [],
): Route[] {
  const times = requestTimes(undefined, policy);
  const route: Route = {
    name,
    match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [] },
    action: {
      ...forward(times, [{ name: cluster, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }]),
      ...hashKeysOf([policy]),
    },
    requestHeaders: noMutation,
    responseHeaders: noMutation,
    ...settings(filters),
  };
  return byRetriedMethods(route, times);
}

function attachedRoutes(destination: Destination, attached: readonly AnyRoute[]): Route[] {
  const candidates = attached
    .flatMap(requestRules)
    .flatMap((rule) => rule.matches.map((ranked) => ({ ...ranked, rule })));
  candidates.sort(compareRanks);
  const outcomes = new Map<RequestRule, readonly Outcome[]>();
  return candidates.flatMap(({ rule, match }) => {
    const made = outcomes.get(rule) ?? outcomesOf(destination, rule);
    outcomes.set(rule, made);
    return made.flatMap(({ route, times, share }) =>
      byRetriedMethods({ ...route, match: share === undefined ? match : { ...match, share } }, times),
    );
  });
}

/** What becomes of requests that a rule matches, or of the share of them that reaches it. */
interface Outcome {
  readonly route: Omit<Route, 'match'>;
  readonly times: RequestTimes;
  /** Absent: all. */
  readonly share: Fraction | undefined;
}

function outcomesOf(destination: Destination, rule: RequestRule): Outcome[] {
  const { context, clientNamespace, service, port } = destination;
  const { route, name } = rule;
  const target = { service, port, route, ruleName: name };
  const policy = mergedPolicy(context.state, clientNamespace, target);
  const faults = faultSetting(context.state, clientNamespace, target);
  const times = requestTimes(rule, policy);
  const refs = rule.backendRefs ?? [];
  const ruleName = `${keyOf(route.metadata.namespace, route.metadata.name)}/${name ?? rule.index}`;
  const session = sessionSetting(rule.sessionPersistence, ruleName);
  const outcome = (
    backends: readonly HttpBackendRef[],
    filters: readonly RouteFilter[],
    share?: Fraction,
  ): Outcome => ({
    times,
    share,
    route: {
      name: ruleName,
      action: actionOf(destination, rule, times, backends, filters, policy),
      ...headerMutations(rule.filters),
      ...settings([...corsSetting(filters), ...faults, ...session]),
    },
  });
  const filters = rule.filters ?? [];
  if (!refs.some((ref) => ref.weight > 0 && (ref.filters ?? []).some(actsAlone))) return [outcome(refs, filters)];
  return sharesOf(refs).map(({ ref, share }) =>
    // What a backend says of the same matter counts for its requests, and the rest of what the rule says with it.
    outcome([{ ...ref, weight: 1 }], [...(ref.filters ?? []), ...filters], share),
  );
}

const settings = (filters: NonNullable<Route['filters']>): Pick<Route, 'filters'> =>
  filters.length === 0 ? {} : { filters };

const millionths = 1_000_000;

/** Each backend takes its share of what those before it have left over, of one number drawn for the request. */
function sharesOf(refs: readonly HttpBackendRef[]): { readonly ref: HttpBackendRef; readonly share?: Fraction }[] {
  const taking = refs.filter((ref) => ref.weight > 0);
  const total = taking.reduce((sum, ref) => sum + ref.weight, 0);
  let before = 0;
  return taking.map((ref, index) => {
    before += ref.weight;
    if (index === taking.length - 1) return { ref };
    return { ref, share: { numerator: Math.round((before / total) * millionths), denominator: millionths } };
  });
}

function actionOf(
  { context: { state }, clientNamespace }: Destination,
  { route }: RequestRule,
  times: RequestTimes,
  backends: readonly HttpBackendRef[],
  filters: readonly RouteFilter[],
  policy: MergedPolicy,
): Route['action'] {
  // A filter that cannot be resolved must not be skipped: its requests get an error (HTTPRouteFilter.type).
  if (filters.some(isUnresolvable)) return forward(times, []);
  const redirect = redirectOf(filters);
  if (redirect !== undefined) return redirect;
  const clusters = backends.map((ref) => ({
    // An invalid reference answers 500 for its share (HTTPRouteRule.backendRefs), or UNAVAILABLE (GRPCRouteRule).
    name: backendCluster(state, route, ref),
    weight: ref.weight,
    ...headerMutations(ref.filters),
  }));
  const called = backends.flatMap((ref) => {
    const backend = resolveBackend(state, route, ref);
    return backend.state === 'resolved' ? [mergedPolicy(state, clientNamespace, backend)] : [];
  });
  return {
    ...forward(times, clusters),
    ...urlRewrite(filters),
    ...mirrorsOf(state, route, filters, policy),
    ...hashKeysOf(called),
  };
}

const noBackend = { name: '', weight: 1, requestHeaders: noMutation, responseHeaders: noMutation };

const forward = (times: RequestTimes, clusters: ForwardAction['clusters']): ForwardAction => ({
  kind: 'forward',
  // A rule without backends answers 500 (HTTPRouteRule.backendRefs), as an invalid reference does.
  clusters: clusters.length > 0 ? clusters : [noBackend],
  timeoutMs: times.timeoutMs,
  idleTimeoutMs: times.idleTimeoutMs,
  ...(times.streamDurationMsMax === undefined ? {} : { streamDurationMsMax: times.streamDurationMsMax }),
  retry: times.retry,
  ...(times.hedge === undefined ? {} : { hedge: times.hedge }),
  hostRewrite: undefined,
  pathRewrite: undefined,
});

/** The model's retry policy knows no methods: those that are retried get a route of their own in front. */
function byRetriedMethods(route: Route, times: RequestTimes): Route[] {
  if (times.methods === undefined || route.action.kind !== 'forward') return [route];
  const wanted = { kind: 'regex', value: times.methods.join('|') } as const;
  const retried: Route = {
    ...route,
    match: { ...route.match, headers: [...route.match.headers, { name: ':method', value: wanted, invert: false }] },
  };
  return [retried, { ...route, action: { ...route.action, retry: times.retryOtherwise } }];
}
