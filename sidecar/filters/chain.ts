import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import {
  type Direction,
  type HttpConnectionManager,
  type HttpFilter,
  type Listener,
  ORIGINAL_DESTINATION,
  type WorkloadSettings,
} from '@weft/policies/model/listener';
import type { HeaderMutation, RouteConfiguration } from '@weft/policies/model/route';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { ClusterManager } from '../cluster/manager.ts';
import type { Dispatch, Downstream } from '../http/exchange.ts';
import type { CertificateSource } from '../identity/source.ts';
import type { OverloadState } from '../overload/state.ts';
import { type PathPolicy, pathPolicyOf } from '../route/path-policy.ts';
import type { LogSinks } from '../telemetry/log/loggers.ts';
import type { Recorder } from '../telemetry/record.ts';
import type { RequestContext } from './context.ts';
import { CorsFilter } from './cors/filter.ts';
import { ExtAuthzFilter } from './extauthz/filter.ts';
import { FaultFilter } from './fault/filter.ts';
import { FilterChain, type RequestFilter } from './filter.ts';
import { HeaderFormats } from './header-formats.ts';
import { HeaderMutationFilter } from './header-mutation/filter.ts';
import { HeadersFilter } from './headers/filter.ts';
import type { ActiveCalls } from './hop/calls.ts';
import { HopFilter } from './hop/filter.ts';
import { createJwtFilter } from './jwt/filter.ts';
import { LocalReplies } from './local-replies.ts';
import { OverloadFilter } from './overload/filter.ts';
import { createProtection, type Protection } from './protection.ts';
import { RbacFilter } from './rbac/filter.ts';
import { ShadowRbacFilter } from './rbac/shadow.ts';
import { HeaderRemovalFilter, ReservedHeadersFilter } from './reserved/filter.ts';
import { reservedNames } from './reserved/names.ts';
import { SessionFilter } from './session/filter.ts';
import { RequestStats } from './stats/record.ts';
import { RequestStream } from './stream.ts';
import { Timeouts } from './timeout/queue.ts';
import { restartsTraces, TraceFilter } from './trace/filter.ts';
import { TrailerRules } from './trailers.ts';
import type { OpenTunnels } from './tunnels.ts';

export interface DispatchDeps {
  readonly hcm: HttpConnectionManager;
  readonly direction: Direction;
  readonly settings: WorkloadSettings | undefined;
  readonly traceContext?: Listener['traceContext'];
  readonly source: SnapshotSource;
  readonly clusters: ClusterManager;
  readonly recorder: Recorder;
  /** For logs. */
  readonly filterChainName?: string;
  /** Outputs of the loggers that a connection manager names. */
  readonly logSinks?: LogSinks;
  readonly clock: Clock;
  readonly prng: Prng;
  /** How long a request waits for configuration that the control plane has not answered yet. */
  readonly onDemandWaitMsMax: number;
  readonly identity: CertificateSource;
  /** What is not of the mesh may not be called. */
  readonly refusesOutside?: boolean;
  readonly overload?: OverloadState | undefined;
  /** Rate limits and places of applications, which outlive listeners; undefined: those of this one alone. */
  readonly protection?: Protection;
  /** Open tunnels of this thread, which outlive listeners; undefined: rules are not asked about them again. */
  readonly tunnels?: OpenTunnels;
  /** What the application is working on; undefined: nothing is carried across it. */
  readonly calls?: ActiveCalls | undefined;
}

/** Where the routes of a chain come from. */
export type RouteOrigin =
  | { readonly kind: 'inline'; readonly config: RouteConfiguration }
  | { readonly kind: 'named'; readonly name: string }
  | { readonly kind: 'original-destination' };

/** What all requests of one HTTP connection manager share. */
export interface Chain {
  readonly deps: DispatchDeps;
  readonly filters: FilterChain;
  readonly routes: RouteOrigin;
  readonly timeouts: Timeouts;
  readonly stats: RequestStats;
  readonly paths: PathPolicy | undefined;
  readonly trailers: TrailerRules;
  readonly headerFormats: HeaderFormats;
  /** Undefined: responses of our own are sent as they are. */
  readonly localReplies: LocalReplies | undefined;
}

interface FilterDeps extends DispatchDeps {
  readonly headerFormats: HeaderFormats;
}

function routeOrigin(hcm: HttpConnectionManager): RouteOrigin {
  if (hcm.route.kind === 'inline') return { kind: 'inline', config: hcm.route.config };
  if (hcm.route.name === ORIGINAL_DESTINATION) return { kind: 'original-destination' };
  return { kind: 'named', name: hcm.route.name };
}

/**
 * In this order: forwarded headers are settled before anything reads them, a refused request is traced too, and no
 * route is looked for before a request is authorised.
 */
function createFilters(deps: FilterDeps): RequestFilter[] {
  const filters: RequestFilter[] = [
    new HeadersFilter(deps.direction, deps.hcm.trustedHops, deps.identity, deps.hcm.edge, routesUpgrade(deps.hcm)),
    new TraceFilter(deps.settings?.tracing, deps.prng, {
      generatesId: deps.hcm.edge.requestId.generate,
      restarts: restartsTraces(deps.traceContext, deps.direction, deps.hcm),
    }),
  ];
  const { calls } = deps;
  if (calls !== undefined) filters.push(new HopFilter({ ...deps, calls }));
  if (deps.overload !== undefined) filters.push(new OverloadFilter(deps.overload, deps.recorder));
  for (const filter of deps.hcm.filters) {
    const made = createFilter(filter, deps);
    if (made !== undefined) filters.push(made);
  }
  return filters;
}

function createFilter(filter: HttpFilter, deps: FilterDeps): RequestFilter | undefined {
  switch (filter.kind) {
    case 'rbac':
      return new RbacFilter(filter.name, filter.rbac, deps.recorder);
    case 'jwt':
      return createJwtFilter(filter.jwt, deps);
    case 'rbacShadow':
      return new ShadowRbacFilter(filter.name, filter.prefix, filter.rbac, deps.recorder);
    case 'extAuthz':
      return new ExtAuthzFilter(filter.authz, deps);
    case 'headerRemoval':
      return new HeaderRemovalFilter(filter.headers);
    case 'headerMutation':
      return filter.request.length === 0 ? undefined : new HeaderMutationFilter(filter.request, deps.headerFormats);
    case 'reservedHeaders':
      return new ReservedHeadersFilter(reservedNames(filter.reserved), deps.recorder);
    case 'cors':
      return new CorsFilter(filter.name, deps.prng, deps.recorder);
    case 'fault':
      return new FaultFilter(filter.name, filter.fault, deps);
    case 'session':
      return new SessionFilter(filter.name, filter.session, deps.clock, deps.recorder);
    case 'localRateLimit':
    case 'rateLimits':
    case 'adaptiveConcurrency':
    case 'admission':
      return createProtection(filter, deps);
    case 'router':
      return undefined;
  }
}

const routesUpgrade = ({ route }: HttpConnectionManager): boolean =>
  route.kind === 'inline' &&
  route.config.virtualHosts.some(({ routes }) =>
    routes.some(({ action }) => action.kind === 'forward' && action.upgrades !== undefined),
  );

/** The last filter is the first to see a response. */
const responseMutations = ({ filters }: HttpConnectionManager): readonly HeaderMutation[] =>
  filters.toReversed().flatMap((filter) => (filter.kind === 'headerMutation' ? filter.response : []));

function createFormats({ hcm, filterChainName = '', clock, recorder }: DispatchDeps, stats: RequestStats) {
  const ports = { trustedHops: hcm.trustedHops, filterChainName, environment: process.env };
  const describe = (context: RequestContext) => stats.describe(context, clock.nowMs());
  return {
    headerFormats: new HeaderFormats({
      ports,
      describe,
      count: (event) => recorder.count(event),
      ofResponses: responseMutations(hcm),
    }),
    localReplies: hcm.localReplies && new LocalReplies(hcm.localReplies, ports, describe),
  };
}

/** Handles the requests of one HTTP connection manager; made once for each. */
export function createDispatch(deps: DispatchDeps): Dispatch {
  const stats = new RequestStats(deps);
  const { headerFormats, localReplies } = createFormats(deps, stats);
  const chain: Chain = {
    deps,
    filters: new FilterChain(createFilters({ ...deps, headerFormats })),
    routes: routeOrigin(deps.hcm),
    timeouts: new Timeouts(deps.clock),
    stats,
    paths: pathPolicyOf(deps.hcm.edge),
    trailers: new TrailerRules(deps.hcm.filters, deps.recorder),
    headerFormats,
    localReplies,
  };
  const dispatch = (exchange: Downstream): void => new RequestStream(chain, exchange).start();
  const { tunnels } = deps;
  if (tunnels === undefined) return dispatch;
  return Object.assign(dispatch, { recheckTunnels: (id: number): void => tunnels.recheck(id, chain.filters) });
}
