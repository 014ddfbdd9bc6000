import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { destinationOf, hostRefused, noCluster, PASSTHROUGH } from '../cluster/destination.ts';
import type { ProxyError } from '../http/errors.ts';
import { type RouteTable, routeTable } from '../route/table.ts';
import type { Chain } from './chain.ts';
import type { RequestContext } from './context.ts';
import { noRoute } from './errors.ts';

/** Who needs routes. Exactly one of the first three is called, possibly before `resolveRoutes` returns. */
export interface RoutesWaiter {
  onRoutes(table: RouteTable): void;
  /** No routes: everything goes to this cluster. */
  onClusterOnly(name: string): void;
  onUnresolved(error: ProxyError): void;
  /** The request is over; nothing is to be called any more. */
  readonly over: boolean;
}

/** Finds the routes of a request, waiting for the control plane until `deadlineMs` where it has not answered yet. */
export function resolveRoutes(chain: Chain, context: RequestContext, deadlineMs: number, waiter: RoutesWaiter): void {
  const { routes } = chain;
  switch (routes.kind) {
    case 'inline':
      waiter.onRoutes(routeTable(routes.config));
      return;
    case 'named':
      resolveNamed(chain, routes.name, undefined, deadlineMs, waiter);
      return;
    case 'original-destination':
      resolveDestination(chain, context, deadlineMs, waiter);
      return;
  }
}

function resolveDestination(chain: Chain, context: RequestContext, deadlineMs: number, waiter: RoutesWaiter): void {
  const { destinationIp, destinationPort } = context.connection;
  const lookup = chain.deps.source.lookup('address', destinationIp);
  if (lookup.state === 'pending') {
    awaitConfiguration(chain, 'address', destinationIp, deadlineMs, waiter, () => {
      resolveDestination(chain, context, deadlineMs, waiter);
    });
    return;
  }
  const destination = destinationOf(lookup.state === 'found' ? lookup.value : undefined, destinationPort);
  if (destination === undefined) {
    waiter.onUnresolved(noCluster(`the Service at ${destinationIp} has no port ${destinationPort}`));
    return;
  }
  if (destination.kind === 'outside') {
    // Only on a connection that was kept longer than its Service: new ones go by chains for the outside.
    if (chain.deps.refusesOutside === true) {
      waiter.onUnresolved(hostRefused(PASSTHROUGH, destinationIp));
      return;
    }
    waiter.onClusterOnly(PASSTHROUGH);
    return;
  }
  context.service = destination.kind === 'service' ? destination.address : destination.service;
  if (destination.port === undefined) {
    // Straight to the pod that was asked for, as no Service says anything about it.
    waiter.onClusterOnly(ORIGINAL_DESTINATION);
    return;
  }
  const { routeConfiguration, cluster } = destination.port;
  if (routeConfiguration === '') waiter.onClusterOnly(cluster);
  else resolveNamed(chain, routeConfiguration, cluster, deadlineMs, waiter);
}

function resolveNamed(
  chain: Chain,
  name: string,
  clusterOtherwise: string | undefined,
  deadlineMs: number,
  waiter: RoutesWaiter,
): void {
  const lookup = chain.deps.source.lookup('route', name);
  switch (lookup.state) {
    case 'found':
      waiter.onRoutes(routeTable(lookup.value));
      return;
    case 'absent':
      if (clusterOtherwise !== undefined) waiter.onClusterOnly(clusterOtherwise);
      else waiter.onUnresolved(noRoute(`route configuration ${name} does not exist`));
      return;
    case 'pending':
      awaitConfiguration(chain, 'route', name, deadlineMs, waiter, () => {
        resolveNamed(chain, name, clusterOtherwise, deadlineMs, waiter);
      });
      return;
  }
}

/** Resumes when a resource is no longer pending; otherwise the request is unresolved. */
export function awaitConfiguration(
  chain: Chain,
  kind: ResourceKind,
  name: string,
  deadlineMs: number,
  waiter: RoutesWaiter,
  resume: () => void,
): void {
  const { source, clock, recorder } = chain.deps;
  const late = (): void => {
    recorder.count('on-demand.timeout');
    waiter.onUnresolved(noCluster(`${kind} ${name} was not known in time`));
  };
  const leftMs = deadlineMs - clock.nowMs();
  if (leftMs <= 0) {
    late();
    return;
  }
  const waits = source.wait(kind, name, leftMs, (lookup) => {
    if (waiter.over) return;
    if (lookup.state === 'pending') late();
    else resume();
  });
  if (waits) return;
  recorder.count('on-demand.overflow');
  waiter.onUnresolved(noCluster(`too many requests wait for configuration, ${kind} ${name} among it`));
}
