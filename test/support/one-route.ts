/** A route that sends everything to one cluster, and that cluster with one endpoint. */
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, defaultClusterLimits } from '@weft/policies/model/cluster';
import { noMutation, type PathRewrite, type RouteConfiguration } from '@weft/policies/model/route';

export const routesTo = (name: string, pathRewrite?: PathRewrite): RouteConfiguration => ({
  name,
  virtualHosts: [
    {
      name,
      domains: ['*'],
      routes: [
        {
          name,
          match: { path: { kind: 'prefix', value: '/' }, caseSensitive: true, headers: [], queryParameters: [] },
          action: {
            kind: 'forward',
            clusters: [{ name, weight: 1, requestHeaders: noMutation, responseHeaders: noMutation }],
            timeoutMs: 60_000,
            idleTimeoutMs: 0,
            retry: undefined,
            hostRewrite: undefined,
            pathRewrite,
          },
          requestHeaders: noMutation,
          responseHeaders: noMutation,
        },
      ],
    },
  ],
});

export function clusterTo(name: string, port: number, spiffeId: SpiffeId | undefined): Cluster {
  const endpoint = {
    address: { ip: '127.0.0.1', port },
    weight: 1,
    priority: 0,
    zone: '',
    health: 'healthy',
    mtls: spiffeId !== undefined,
    spiffeId,
    workload: '',
  } as const;
  return {
    name,
    discovery: { kind: 'static', assignment: { clusterName: name, endpoints: [endpoint] } },
    connectTimeoutMs: 60_000,
    idleTimeoutMs: 60_000,
    requestsPerConnectionMax: 0,
    balancer: leastRequest,
    protocol: 'http1',
    limits: defaultClusterLimits,
    errorRate: undefined,
    outlier: undefined,
    healthyPanicPercent: 0,
    tls: undefined,
    meshTls: spiffeId !== undefined,
    service: undefined,
  };
}
