import { linearRegex } from '@weft/policies/kit/linear-regex';
import { compileReplacement, type Replace } from '@weft/policies/kit/linear-replace';
import type { Prng } from '@weft/policies/kit/prng';
import { asksExchange } from '@weft/policies/model/log-operators';
import type { QueryParameterMatch } from '@weft/policies/model/match';
import type {
  HeaderMutation,
  Route,
  RouteConfiguration,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
} from '@weft/policies/model/route';
import type { RequestHead } from '../http/exchange.ts';
import { HeaderMatcher } from './fields.ts';
import { HostTable } from './host.ts';
import { pathLength } from './path.ts';
import { StringMatcher } from './pattern.ts';
import { queryParameter } from './query.ts';
import { WeightedChoice } from './weight.ts';

interface QueryMatcher {
  readonly name: string;
  readonly value: StringMatcher | undefined;
}

function queryMatcher(match: QueryParameterMatch): QueryMatcher {
  return {
    name: match.name,
    value: match.value.kind === 'present' ? undefined : new StringMatcher(match.value),
  };
}

const clustersOf = ({ action }: Route): readonly WeightedCluster[] =>
  action.kind === 'forward' ? action.clusters : [];

function replacementOf({ action }: Route): Replace | undefined {
  if (action.kind !== 'forward' || action.pathReplacement === undefined) return undefined;
  const { pattern, substitution } = action.pathReplacement;
  const made = compileReplacement(pattern, substitution);
  if (!made.ok) throw new Error(`decoding let a pattern through: ${made.error}`);
  return made.value;
}

/** Those that change something. */
function inOrder(all: readonly (HeaderMutation | undefined)[], reversed: boolean): readonly HeaderMutation[] {
  const made = all.filter(
    (one): one is HeaderMutation =>
      one !== undefined && (one.options !== undefined || one.set.length + one.add.length + one.remove.length > 0),
  );
  return reversed ? made.reverse() : made;
}

/** A route ready to be tested; made once for each immutable RouteConfiguration. */
export class CompiledRoute {
  readonly route: Route;
  /** For a forwarding route; a route that answers itself has none. */
  readonly clusters: WeightedChoice | undefined;
  readonly attemptCount: VirtualHost['attemptCount'];
  /** Of the route and of what it is in, in the order in which they are made; that of a cluster comes before or after them. */
  readonly requestHeaders: readonly HeaderMutation[];
  readonly responseHeaders: readonly HeaderMutation[];
  readonly clusterHeadersLast: boolean;
  /** The host is the name of the endpoint. */
  readonly hostRewriteAuto: boolean;
  /** Undefined: the path is not searched for anything. */
  readonly replacePath: Replace | undefined;
  /** Some header of a response says when the request ended, or something of a connection: asked while it is there. */
  readonly asksExchange: boolean;
  /** Of the requests that match, 1 being all. */
  readonly share: number;
  private readonly kind: RouteMatch['path']['kind'];
  private readonly path: string;
  private readonly caseSensitive: boolean;
  private readonly regex: RegExp | undefined;
  private readonly headers: readonly HeaderMatcher[];
  private readonly query: readonly QueryMatcher[];

  constructor(route: Route, host?: VirtualHost, config?: RouteConfiguration) {
    const { path, caseSensitive, share } = route.match;
    const last = config?.mostSpecificHeadersWin === true;
    this.route = route;
    this.requestHeaders = inOrder([route.requestHeaders, host?.requestHeaders, config?.requestHeaders], last);
    this.responseHeaders = inOrder([route.responseHeaders, host?.responseHeaders, config?.responseHeaders], last);
    this.clusterHeadersLast = last;
    this.hostRewriteAuto = route.action.kind === 'forward' && route.action.hostRewriteAuto === true;
    this.asksExchange = [this.responseHeaders, ...clustersOf(route).map((one) => [one.responseHeaders])].some((all) =>
      all.some(({ options = [] }) => options.some(({ format }) => asksExchange(format))),
    );
    this.share = share === undefined ? 1 : share.numerator / share.denominator;
    this.replacePath = replacementOf(route);
    this.attemptCount = host?.attemptCount;
    this.clusters = route.action.kind === 'forward' ? new WeightedChoice(route.action.clusters) : undefined;
    this.kind = path.kind;
    this.caseSensitive = caseSensitive;
    const bare = path.kind === 'pathSeparatedPrefix' && path.value.endsWith('/') ? path.value.slice(0, -1) : path.value;
    this.path = caseSensitive ? bare : bare.toLowerCase();
    this.headers = route.match.headers.map((match) => new HeaderMatcher(match));
    this.query = route.match.queryParameters.map(queryMatcher);
    this.regex = path.kind === 'regex' ? linearRegex(path.value) : undefined;
  }

  matches(head: RequestHead, pathEnd: number): boolean {
    if (!this.matchesPath(head.path, pathEnd)) return false;
    for (const header of this.headers) if (!header.test(head)) return false;
    for (const parameter of this.query) {
      const value = queryParameter(head.path, pathEnd, parameter.name);
      if (value === undefined || (parameter.value !== undefined && !parameter.value.test(value))) return false;
    }
    return true;
  }

  private matchesPath(target: string, pathEnd: number): boolean {
    // Only CONNECT has no path. What it carries nobody looks into, so that a route has to say that it is meant.
    if (pathEnd === 0) return this.kind === 'connect';
    const subject = this.caseSensitive ? target : target.toLowerCase();
    const path = this.path;
    switch (this.kind) {
      case 'prefix':
        return pathEnd >= path.length && subject.startsWith(path);
      case 'exact':
        return pathEnd === path.length && subject.startsWith(path);
      case 'pathSeparatedPrefix':
        return (
          pathEnd >= path.length &&
          subject.startsWith(path) &&
          (pathEnd === path.length || subject.charCodeAt(path.length) === 0x2f)
        );
      case 'regex':
        return this.regex?.test(target.slice(0, pathEnd)) ?? false;
      case 'connect':
        return false;
    }
  }
}

/** All routes of a RouteConfiguration, ready to be searched. */
export class RouteTable {
  private readonly hosts = new HostTable<readonly CompiledRoute[]>();

  constructor(config: RouteConfiguration) {
    for (const host of config.virtualHosts) {
      const routes = host.routes.map((route) => new CompiledRoute(route, host, config));
      for (const domain of host.domains) this.hosts.add(domain, routes);
    }
  }

  /** First match wins; undefined is a 404. All shares are cut by one number, as Envoy does (RouteMatch.runtime_fraction). */
  find(head: RequestHead, prng: Prng): CompiledRoute | undefined {
    const routes = this.hosts.find(head.authority);
    if (routes === undefined) return undefined;
    const pathEnd = pathLength(head.path);
    let ticket = -1;
    for (const route of routes) {
      if (!route.matches(head, pathEnd)) continue;
      if (route.share >= 1) return route;
      if (ticket < 0) ticket = prng.next();
      if (ticket < route.share) return route;
    }
    return undefined;
  }
}

const tables = new WeakMap<RouteConfiguration, RouteTable>();

/** Compiled on first use and kept as long as the configuration is. */
export function routeTable(config: RouteConfiguration): RouteTable {
  let table = tables.get(config);
  if (table === undefined) {
    table = new RouteTable(config);
    tables.set(config, table);
  }
  return table;
}
