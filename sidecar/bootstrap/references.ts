import type { AccessLog } from '@weft/policies/model/access-log';
import type { Cluster } from '@weft/policies/model/cluster';
import { type FilterChain, type Listener, logsInOwnForm } from '@weft/policies/model/listener';
import type { ManagementServer } from '@weft/policies/model/management-server';
import type { RouteConfiguration } from '@weft/policies/model/route';
import type { DownstreamTls, UpstreamTls } from '@weft/policies/model/tls';
import type { BootstrapConfig } from '@weft/policies/wire/bootstrap-decode';
import type { WireError } from '@weft/policies/wire/decoding';

/** What the objects of a bootstrap say about each other: with nobody to ask, every name has to be in the file. */
export function checkReferences({ listeners, clusters }: BootstrapConfig): readonly WireError[] {
  const known = new Set(clusters.map(({ name }) => name));
  return [
    ...duplicates(clusters, 'static_resources.clusters'),
    ...duplicates(listeners, 'static_resources.listeners'),
    ...clusters.flatMap((cluster, i) => clusterErrors(cluster, `static_resources.clusters[${i}]`)),
    ...endpointErrors(clusters),
    ...listeners.flatMap((listener, i) => listenerErrors(listener, known, `static_resources.listeners[${i}]`)),
    ...accessLogErrors(listeners),
  ];
}

/** Lines in Weft's own form (`filter_metadata["weft.dev"].settings`) are of the whole process and go to one output. */
function accessLogErrors(listeners: readonly Listener[]): WireError[] {
  const errors: WireError[] = [];
  let first: AccessLog | undefined;
  for (const [path, chain] of listeners.flatMap((listener, i) =>
    logsInOwnForm(listener) ? chainsOf(listener, `static_resources.listeners[${i}]`) : [],
  )) {
    const at = `${path}.filters[${chain.networkRbac.length}].typed_config.access_log`;
    for (const [i, log] of chain.terminal.accessLogs.entries()) {
      first ??= log;
      if (log.kind === first.kind && log.path === first.path) continue;
      const message =
        'is another output than that of the first access log; Weft writes one in its own form for the whole process';
      errors.push({ path: `${at}[${i}]`, message });
    }
  }
  return errors;
}

function duplicates(items: readonly { readonly name: string }[], path: string): WireError[] {
  const seen = new Set<string>();
  const errors: WireError[] = [];
  for (const [i, { name }] of items.entries()) {
    if (seen.has(name)) errors.push({ path: `${path}[${i}].name`, message: `name "${name}" occurs twice` });
    seen.add(name);
  }
  return errors;
}

function clusterErrors(cluster: Cluster, path: string): WireError[] {
  const errors = secretErrors(cluster.tls, `${path}.transport_socket`);
  const { discovery } = cluster;
  if (discovery.kind === 'eds' && discovery.source === undefined) {
    const message = 'needs dynamic_resources.ads_config; or name a file: path_config_source';
    errors.push({ path: `${path}.eds_cluster_config.eds_config.ads`, message });
  }
  if (cluster.meshTls) {
    errors.push({
      path: `${path}.transport_socket_matches`,
      message: 'mesh TLS needs certificates of a control plane',
    });
  }
  return errors;
}

/** Endpoints go by the name of their service, as over xDS. */
function endpointErrors(clusters: readonly Cluster[]): WireError[] {
  const sources = new Map<string, string>();
  return clusters.flatMap(({ discovery }, i) => {
    if (discovery.kind !== 'eds' || discovery.source === undefined) return [];
    const { source, serviceName } = discovery;
    const path = `static_resources.clusters[${i}].eds_cluster_config`;
    const errors = source.kind === 'server' ? serverErrors(source.server, clusters, path) : [];
    const key = JSON.stringify(source.kind === 'server' ? source.server : source);
    const other = sources.get(serviceName) ?? key;
    sources.set(serviceName, other);
    if (other === key) return errors;
    const message = `the endpoints of "${serviceName}" come from elsewhere already; give this one another name`;
    return [...errors, { path: `${path}.service_name`, message }];
  });
}

/** It is asked before any endpoints are known by asking. */
function serverErrors(
  { cluster: name, aggregated }: ManagementServer,
  clusters: readonly Cluster[],
  at: string,
): WireError[] {
  const source = aggregated ? 'dynamic_resources.ads_config' : `${at}.eds_config.api_config_source`;
  const path = `${source}.grpc_services[0].envoy_grpc.cluster_name`;
  const server = clusters.find((cluster) => cluster.name === name);
  if (server === undefined) return missing([name], new Set(), path);
  if (server.discovery.kind !== 'static' && server.discovery.kind !== 'strict-dns') {
    return [{ path, message: `cluster "${name}" has to be STATIC or STRICT_DNS` }];
  }
  if (server.protocol === 'http2') return [];
  return [{ path, message: `cluster "${name}" has to speak HTTP/2: explicit_http_config.http2_protocol_options` }];
}

function listenerErrors(listener: Listener, clusters: ReadonlySet<string>, path: string): WireError[] {
  return chainsOf(listener, path).flatMap(([at, chain]) => chainErrors(chain, clusters, at));
}

/** Every filter chain of a listener with its path. */
export function chainsOf(listener: Listener, path: string): readonly (readonly [string, FilterChain])[] {
  const chains = listener.filterChains.map((chain, i) => [`${path}.filter_chains[${i}]`, chain] as const);
  const { defaultFilterChain } = listener;
  return defaultFilterChain === undefined ? chains : [...chains, [`${path}.default_filter_chain`, defaultFilterChain]];
}

function chainErrors(chain: FilterChain, clusters: ReadonlySet<string>, path: string): WireError[] {
  const errors = secretErrors(chain.tls, `${path}.transport_socket`);
  const { terminal } = chain;
  // The terminal filter stands behind those that authorize.
  const at = `${path}.filters[${chain.networkRbac.length}].typed_config`;
  if (terminal.kind === 'tcp') {
    const names = terminal.clusters.map(({ name }) => name);
    return [...errors, ...missing(names, clusters, at)];
  }
  if (terminal.route.kind === 'rds') {
    return [...errors, { path: `${at}.rds`, message: 'RDS needs a control plane; a bootstrap has route_config' }];
  }
  return [...errors, ...routeErrors(terminal.route.config, clusters, `${at}.route_config`)];
}

const routeErrors = (config: RouteConfiguration, clusters: ReadonlySet<string>, path: string): WireError[] =>
  config.virtualHosts.flatMap((host, h) =>
    host.routes.flatMap(({ action }, r) => {
      if (action.kind !== 'forward') return [];
      // A backend without a name is invalid on purpose, and answered 500.
      const names = action.clusters.map(({ name }) => name).filter((name) => name !== '');
      return missing(names, clusters, `${path}.virtual_hosts[${h}].routes[${r}].route`);
    }),
  );

const missing = (names: readonly string[], clusters: ReadonlySet<string>, path: string): WireError[] =>
  names
    .filter((name) => !clusters.has(name))
    .map((name) => ({ path, message: `there is no cluster "${name}" in static_resources.clusters` }));

function secretErrors(tls: UpstreamTls | DownstreamTls | undefined, path: string): WireError[] {
  const at = `${path}.typed_config.common_tls_context`;
  const message = 'secrets by name need a control plane; a bootstrap has files or inline text';
  const errors: WireError[] = [];
  if (tls?.certificate?.kind === 'secret') {
    errors.push({ path: `${at}.tls_certificate_sds_secret_configs[0]`, message });
  }
  if (tls?.validation?.trust.kind === 'secret') {
    errors.push({ path: `${at}.validation_context_sds_secret_config`, message });
  }
  return errors;
}
