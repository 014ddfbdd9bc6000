/**
 * Headless Services (docs/decisions/011): their names stand for their pods, so that clients call pods by address. What
 * is said about the Service counts for these calls too, as long as it is clear which Service is meant; but the client
 * has chosen the pod, and nobody else chooses again.
 */
import { leastRequest } from '@weft/policies/model/balancer';
import type { Cluster } from '@weft/policies/model/cluster';
import type { Route, RouteConfiguration } from '@weft/policies/model/route';
import type { Pod, Service, ServicePortSpec } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import { translateCluster } from './cluster.ts';
import type { TranslateContext } from './context.ts';
import { directName, outboundName, type ServicePortRef } from './names.ts';
import { targetPortOf } from './ports.ts';
import { translateRoutes } from './route.ts';

interface HeadlessPort {
  readonly service: Service;
  readonly port: ServicePortSpec;
}

export const isHeadless = (service: Service): boolean => service.addressing === 'headless';

/** The port of a headless Service that this port of a pod is; undefined where there is none, or more than one Service. */
export function headlessPortOf(state: ClusterState, pod: Pod, number: number): HeadlessPort | undefined {
  const [first, second] = state
    .servicesSelecting(pod)
    .filter(isHeadless)
    .flatMap((service) => {
      const targets = service.ports.filter((port) => targetPortOf(port, pod) === number);
      // Who calls a pod by a number that two ports of the Service share means the one of that number.
      const port = targets.find((one) => one.port === number) ?? targets[0];
      return port === undefined ? [] : [{ service, port }];
    });
  return second === undefined ? first : undefined;
}

/** Other headless Services with the same ports of the same pods, so that neither's settings count for these. */
export function rivalsOf(state: ClusterState, service: Service): string[] {
  const rivals = new Set<string>();
  for (const pod of state.podsSelectedBy(service)) {
    const own = new Set(service.ports.map((port) => targetPortOf(port, pod)));
    for (const other of state.servicesSelecting(pod)) {
      if (other === service || !isHeadless(other)) continue;
      const shared = other.ports.some((port) => {
        const target = targetPortOf(port, pod);
        return target !== undefined && own.has(target);
      });
      if (shared) rivals.add(objectKey(other.metadata));
    }
  }
  return [...rivals].sort();
}

/** What clients of a Service ask for: by its address, or by those of its pods. */
export function nameForClients(service: Service, port: number): string {
  const { namespace, name } = service.metadata;
  return (isHeadless(service) ? directName : outboundName)({ namespace, service: name, port });
}

/** For the status of a route. */
export const keepsToPods = (service: Service): string =>
  isHeadless(service) ? '; it is headless: what a rule sends to it goes to the pod that the client called' : '';

/** The settings of connections and of the Service as a whole; what would choose among endpoints is left out. */
export function translateDirectCluster(
  context: TranslateContext,
  clientNamespace: string,
  ref: ServicePortRef,
): Cluster | undefined {
  const cluster = translateCluster(context, clientNamespace, ref);
  if (cluster === undefined) return undefined;
  const { connectTimeoutMs, idleTimeoutMs, requestsPerConnectionMax, protocol, connections } = cluster;
  const { limits, errorRate, tls, meshTls, service, fault } = cluster;
  return {
    name: directName(ref),
    discovery: { kind: 'original-dst' },
    connectTimeoutMs,
    idleTimeoutMs,
    requestsPerConnectionMax,
    balancer: leastRequest,
    protocol,
    ...(connections === undefined ? {} : { connections }),
    limits,
    errorRate,
    outlier: undefined,
    healthyPanicPercent: 0,
    tls,
    meshTls,
    service,
    ...(fault === undefined ? {} : { fault }),
  };
}

/** Routes of the Service; where they send to the Service itself, the request stays with the pod that was called. */
export function translateDirectRoutes(
  context: TranslateContext,
  clientNamespace: string,
  ref: ServicePortRef,
): RouteConfiguration | undefined {
  const routes = translateRoutes(context, clientNamespace, ref);
  if (routes === undefined) return undefined;
  const [from, name] = [outboundName(ref), directName(ref)];
  const direct = (route: Route): Route =>
    route.action.kind !== 'forward'
      ? route
      : {
          ...route,
          action: {
            ...route.action,
            clusters: route.action.clusters.map((one) => (one.name === from ? { ...one, name } : one)),
          },
        };
  return {
    ...routes,
    name,
    virtualHosts: routes.virtualHosts.map((host) => ({ ...host, name, routes: host.routes.map(direct) })),
  };
}
