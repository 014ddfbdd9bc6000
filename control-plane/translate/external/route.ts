/** Routes by Host to hosts outside of the mesh. */
import { noMutation, type Route, type RouteConfiguration, type VirtualHost } from '@weft/policies/model/route';
import { keyOf } from '../../index/objects.ts';
import type { TranslateContext } from '../context.ts';
import { faultSetting } from '../fault.ts';
import { PASSTHROUGH } from '../names.ts';
import { mergedPolicy } from '../policy.ts';
import { plainRoutes } from '../route.ts';
import { isRegistryOnly } from './chains.ts';
import { type ExternalRef, egressName, externalName } from './names.ts';
import { type Claim, visibleTo } from './visible.ts';

/** All hosts that a namespace may call on a port, where no address is asked for. */
export function translateEgressRoutes(
  context: TranslateContext,
  clientNamespace: string,
  port: number,
): RouteConfiguration | undefined {
  const claims = visibleTo(context.state, clientNamespace).claims.filter(
    (claim) => claim.kind === 'http' && claim.blocks.length === 0 && claim.port.number === port,
  );
  if (claims.length === 0) return undefined;
  return routesOf(context, clientNamespace, egressName(port), claims);
}

/** Hosts of one ExternalService at its own addresses. */
export function translateExternalRoutes(
  context: TranslateContext,
  clientNamespace: string,
  ref: ExternalRef,
): RouteConfiguration | undefined {
  const external = context.state.externalServices.get(keyOf(ref.namespace, ref.name));
  if (external === undefined || ref.host !== undefined) return undefined;
  const claims = visibleTo(context.state, clientNamespace).claims.filter(
    (claim) =>
      claim.external === external && claim.kind === 'http' && claim.blocks.length > 0 && claim.port.number === ref.port,
  );
  if (claims.length === 0) return undefined;
  return routesOf(context, clientNamespace, externalName(ref), claims);
}

function routesOf(
  context: TranslateContext,
  clientNamespace: string,
  name: string,
  claims: readonly Claim[],
): RouteConfiguration {
  const hosts = claims.map((claim) => hostOf(context, clientNamespace, claim));
  const any = hosts.some(({ domains }) => domains.includes('*'));
  return { name, virtualHosts: any ? hosts : [...hosts, others(context)] };
}

function hostOf(context: TranslateContext, clientNamespace: string, { external, port, host }: Claim): VirtualHost {
  const { namespace, name } = external.metadata;
  const cluster = externalName({ namespace, name, port: port.number, host });
  const target = { service: external, port: { name: port.name, port: port.number } };
  const policy = mergedPolicy(context.state, clientNamespace, target);
  const faults = faultSetting(context.state, clientNamespace, target);
  return {
    name: cluster,
    domains: host === undefined ? ['*'] : [host, `${host}:${port.number}`],
    routes: plainRoutes(policy, cluster, 'default', faults),
  };
}

const everything: Route['match'] = {
  path: { kind: 'prefix', value: '/' },
  caseSensitive: true,
  headers: [],
  queryParameters: [],
};

/** Names as in Istio's configuration, for people who know them from there. */
function others({ state }: TranslateContext): VirtualHost {
  if (!isRegistryOnly(state)) {
    // It goes to where the client called, tunnels by CONNECT included: no rule is about such hosts.
    const all = plainRoutes({}, PASSTHROUGH, 'allow_any');
    const tunnels = all.map((route) => ({
      ...route,
      match: { ...everything, path: { kind: 'connect', value: '' } as const },
    }));
    return { name: 'allow_any', domains: ['*'], routes: [...all, ...tunnels] };
  }
  const refusal: Route = {
    name: 'block_all',
    match: everything,
    action: {
      kind: 'direct',
      status: 502,
      body: 'no ExternalService is for this host and port, and the Mesh lets out nothing else (outbound: RegistryOnly)\n',
    },
    requestHeaders: noMutation,
    responseHeaders: noMutation,
  };
  return { name: 'block_all', domains: ['*'], routes: [refusal] };
}
