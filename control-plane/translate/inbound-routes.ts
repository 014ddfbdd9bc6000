/** What becomes of requests to the application of a pod: all go to it, but for tunnels that would hide something. */
import { isDeepStrictEqual } from 'node:util';
import { noMutation, type Route, type RouteConfiguration, type RouteMatch } from '@weft/policies/model/route';
import type { Pod } from '../index/core.ts';
import { policiesFor, type WorkloadAuthorization } from './authorization.ts';
import type { TranslateContext } from './context.ts';
import { INBOUND } from './names.ts';

/**
 * What a tunnel carries nobody looks into, and an application that takes no tunnels may read requests there: none of
 * their headers would have been taken off, and no rule asked (RFC 9110 section 9.3.6).
 * - `all`: a rule says that CONNECT is meant.
 * - `mesh`: from peers of the mesh, who may send opaque bytes as well.
 * - `none`: rules look into requests, which keeps opaque bytes out too.
 */
export type Tunnels = 'all' | 'mesh' | 'none';

export function tunnelsOf(
  context: TranslateContext,
  pod: Pod,
  authorization: WorkloadAuthorization,
  readsTokens: boolean,
): Tunnels {
  if (policiesFor(context.state, pod).some(allowsConnect)) return 'all';
  const { reserved, custom, http, network } = authorization;
  const enforced = (one: { readonly action: string }): boolean => one.action !== 'log';
  const sameForBytes = isDeepStrictEqual(http.filter(enforced), network.filter(enforced));
  return sameForBytes && reserved.length === 0 && custom.length === 0 && !readsTokens ? 'mesh' : 'none';
}

const allowsConnect = ({ spec }: ReturnType<typeof policiesFor>[number]): boolean =>
  spec.action === 'ALLOW' &&
  spec.rules.some(({ to }) => to?.some(({ methods }) => methods?.includes('CONNECT') === true) === true);

const match = (kind: 'prefix' | 'connect', value: string): RouteMatch => ({
  path: { kind, value },
  caseSensitive: true,
  headers: [],
  queryParameters: [],
});

const toCluster: Route['action'] = {
  kind: 'forward',
  clusters: [{ name: INBOUND, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }],
  timeoutMs: 0,
  idleTimeoutMs: 0,
  // Retries are the client's: it knows its budget, and it may pick another endpoint.
  retry: undefined,
  hostRewrite: undefined,
  pathRewrite: undefined,
};

const refusal: Route['action'] = {
  kind: 'direct',
  status: 403,
  body: 'CONNECT is not passed on: what a tunnel carries is not looked into. An ALLOW rule of an AuthorizationPolicy whose methods name CONNECT lets it in.\n',
};

const plain = { requestHeaders: noMutation, responseHeaders: noMutation };

const routesWith = (connect: Route['action'] | undefined): RouteConfiguration => ({
  name: INBOUND,
  virtualHosts: [
    {
      name: INBOUND,
      domains: ['*'],
      routes: [
        { name: INBOUND, match: match('prefix', '/'), action: toCluster, ...plain },
        ...(connect === undefined
          ? []
          : [{ name: `${INBOUND}-tunnel`, match: match('connect', ''), action: connect, ...plain }]),
      ],
    },
  ],
});

const [passing, refusing, unaware] = [routesWith(toCluster), routesWith(refusal), routesWith(undefined)];

/** `tunnels` undefined: of a sidecar that knows no routes for them; `mesh`: the clients of the chain are peers of the mesh. */
export function inboundRoutes(tunnels: Tunnels | undefined, mesh: boolean): RouteConfiguration {
  if (tunnels === undefined) return unaware;
  return tunnels === 'all' || (tunnels === 'mesh' && mesh) ? passing : refusing;
}
