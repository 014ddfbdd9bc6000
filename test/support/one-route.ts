/** A route that sends everything to one cluster, and that cluster with one endpoint. */
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Cluster } from '@weft/policies/model/cluster';
import { noMutation, type PathRewrite, type RouteConfiguration } from '@weft/policies/model/route';
import { testCluster, testEndpoint, testRoute } from '@weft/sidecar/filters/testing';

interface RouteOptions {
  readonly pathRewrite?: PathRewrite;
  readonly timeoutMs?: number;
}

/** Nothing is sent a second time. */
export function routesTo(name: string, { pathRewrite, timeoutMs = 60_000 }: RouteOptions = {}): RouteConfiguration {
  const cluster = { name, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation };
  const route = testRoute({ clusters: [cluster], timeoutMs, pathRewrite });
  return { name, virtualHosts: [{ name, domains: ['*'], routes: [{ ...route, name }] }] };
}

export function clusterTo(name: string, port: number, spiffeId: SpiffeId | undefined): Cluster {
  const mtls = spiffeId !== undefined;
  const endpoint = testEndpoint('127.0.0.1', port, { mtls, spiffeId });
  return testCluster(name, {
    discovery: { kind: 'static', assignment: { clusterName: name, endpoints: [endpoint] } },
    connectTimeoutMs: 60_000,
    meshTls: mtls,
  });
}
