import type { Cluster, EndpointAssignment } from '@weft/policies/model/cluster';
import type { Listener } from '@weft/policies/model/listener';
import type { RouteConfiguration } from '@weft/policies/model/route';
import { clusterJson, endpointsJson, listenerJson, routeJson } from '@weft/policies/wire/resource-json';

/** What is served at present. */
export interface ServedConfig {
  readonly listeners: readonly Listener[];
  readonly clusters: readonly Cluster[];
  readonly routes: readonly RouteConfiguration[];
  readonly endpoints: readonly EndpointAssignment[];
  /** From a file, which never changes, or by xDS. */
  readonly static: boolean;
}

const dump = (kind: string, fields: object): object => ({
  '@type': `type.googleapis.com/envoy.admin.v3.${kind}`,
  ...fields,
});

/** Envoy's ConfigDump; `resource` is one of its repeated fields, empty: everything. */
export function configDump(config: ServedConfig, resource: string): unknown {
  const listeners = config.listeners.map((listener) => ({ listener: listenerJson(listener) }));
  const clusters = config.clusters.map((cluster) => ({ cluster: clusterJson(cluster) }));
  const routes = config.routes.map((route) => ({ route_config: routeJson(route) }));
  const endpoints = config.endpoints.map((assignment) => ({ endpoint_config: endpointsJson(assignment) }));
  const dynamicListeners = config.listeners.map((listener) => ({
    name: listener.name,
    active_state: { listener: listenerJson(listener) },
  }));
  const parts: Readonly<Record<string, readonly object[]>> = config.static
    ? {
        static_listeners: listeners,
        static_clusters: clusters,
        static_route_configs: routes,
        ...(endpoints.length === 0 ? {} : { dynamic_endpoint_configs: endpoints }),
      }
    : {
        dynamic_listeners: dynamicListeners,
        dynamic_active_clusters: clusters,
        dynamic_route_configs: routes,
        dynamic_endpoint_configs: endpoints,
      };
  if (resource !== '') {
    const kind = kinds[resource];
    return { configs: (parts[resource] ?? []).map((part) => dump(kind ?? 'Resource', part)) };
  }
  const some = (...names: readonly string[]): object =>
    Object.fromEntries(names.flatMap((name) => (parts[name] === undefined ? [] : [[name, parts[name]]])));
  return {
    configs: [
      dump('ClustersConfigDump', some('static_clusters', 'dynamic_active_clusters')),
      ...(parts['dynamic_endpoint_configs'] === undefined
        ? []
        : [dump('EndpointsConfigDump', some('dynamic_endpoint_configs'))]),
      dump('ListenersConfigDump', some('static_listeners', 'dynamic_listeners')),
      dump('RoutesConfigDump', some('static_route_configs', 'dynamic_route_configs')),
    ],
  };
}

const kinds: Readonly<Record<string, string>> = {
  static_listeners: 'ListenersConfigDump.StaticListener',
  dynamic_listeners: 'ListenersConfigDump.DynamicListener',
  static_clusters: 'ClustersConfigDump.StaticCluster',
  dynamic_active_clusters: 'ClustersConfigDump.DynamicCluster',
  static_route_configs: 'RoutesConfigDump.StaticRouteConfig',
  dynamic_route_configs: 'RoutesConfigDump.DynamicRouteConfig',
  dynamic_endpoint_configs: 'EndpointsConfigDump.DynamicEndpointConfig',
};
