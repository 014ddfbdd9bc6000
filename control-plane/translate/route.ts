import type { HTTPRoute } from '@weft/policies/crds/kinds';
import { type ForwardAction, noMutation, type Route, type RouteConfiguration } from '@weft/policies/model/route';
import type { Service } from '../index/core.ts';
import { keyOf } from '../index/objects.ts';
import { type RouteRule, resolveBackend, routesFor } from './attachment.ts';
import type { TranslateContext } from './context.ts';
import { headerMutations, redirectOf, urlRewrite } from './filters.ts';
import { compareMatches, translateMatch } from './match.ts';
import { outboundName, type ServicePortRef } from './names.ts';
import { mergedPolicy } from './policy.ts';
import { servicePortProtocol } from './ports.ts';
import { carriesHttp } from './protocol.ts';
import { type RequestTimes, requestTimes } from './retry.ts';

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
  const attached = routesFor(context.state, clientNamespace, service, port);
  const routes =
    attached.length === 0 ? defaultRoutes(destination, outboundName(ref)) : httpRoutes(destination, attached);
  const name = outboundName(ref);
  return { name, virtualHosts: [{ name, domains: ['*'], routes }] };
}

function defaultRoutes({ context, clientNamespace, service, port }: Destination, cluster: string): Route[] {
  const times = requestTimes(undefined, mergedPolicy(context.state, clientNamespace, { service, port }));
  const route: Route = {
    name: 'default',
    match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [] },
    action: forward(times, [{ name: cluster, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }]),
    requestHeaders: noMutation,
    responseHeaders: noMutation,
  };
  return byRetriedMethods(route, times);
}

function httpRoutes(destination: Destination, attached: readonly HTTPRoute[]): Route[] {
  const candidates = attached.flatMap((route) =>
    route.spec.rules.flatMap((rule, index) => {
      // No matches at all would match nothing; the API means everything (HTTPRouteRule.matches).
      const matches: RouteRule['matches'] =
        rule.matches.length > 0 ? rule.matches : [{ path: { type: 'PathPrefix', value: '/' } }];
      return matches.map((match) => ({ route, rule, index, match }));
    }),
  );
  candidates.sort((a, b) => compareMatches(a.match, b.match));
  return candidates.flatMap(({ route, rule, index, match }) => {
    const made = ruleRoute(destination, route, rule, index);
    return byRetriedMethods({ ...made.route, match: translateMatch(match) }, made.times);
  });
}

function ruleRoute(
  { context, clientNamespace, service, port }: Destination,
  route: HTTPRoute,
  rule: RouteRule,
  index: number,
): { readonly route: Omit<Route, 'match'>; readonly times: RequestTimes } {
  const policy = mergedPolicy(context.state, clientNamespace, { service, port, route, ruleName: rule.name });
  const times = requestTimes(rule, policy);
  const redirect = redirectOf(rule.filters);
  const clusters = (rule.backendRefs ?? []).map((ref) => {
    const backend = resolveBackend(context.state, route, ref);
    return {
      // An invalid reference answers 500 for its share (HTTPRouteRule.backendRefs).
      name:
        backend.state === 'resolved'
          ? outboundName({
              namespace: backend.service.metadata.namespace,
              service: backend.service.metadata.name,
              port: backend.port.port,
            })
          : '',
      weight: ref.weight,
      ...headerMutations(ref.filters),
    };
  });
  return {
    times,
    route: {
      name: `${keyOf(route.metadata.namespace, route.metadata.name)}/${rule.name ?? index}`,
      action: redirect ?? { ...forward(times, clusters), ...urlRewrite(rule.filters) },
      ...headerMutations(rule.filters),
    },
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
