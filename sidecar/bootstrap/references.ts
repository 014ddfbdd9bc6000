import type { Cluster } from '@weft/policies/model/cluster';
import type { FilterChain, Listener } from '@weft/policies/model/listener';
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
    ...listeners.flatMap((listener, i) => listenerErrors(listener, known, `static_resources.listeners[${i}]`)),
  ];
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
  if (cluster.discovery.kind === 'eds') {
    errors.push({ path: `${path}.type`, message: 'EDS needs a control plane; a bootstrap has STATIC or STRICT_DNS' });
  }
  if (cluster.meshTls) {
    errors.push({
      path: `${path}.transport_socket_matches`,
      message: 'mesh TLS needs certificates of a control plane',
    });
  }
  return errors;
}

function listenerErrors(listener: Listener, clusters: ReadonlySet<string>, path: string): WireError[] {
  const chains: [FilterChain, string][] = listener.filterChains.map((chain, i) => [
    chain,
    `${path}.filter_chains[${i}]`,
  ]);
  if (listener.defaultFilterChain !== undefined) {
    chains.push([listener.defaultFilterChain, `${path}.default_filter_chain`]);
  }
  return chains.flatMap(([chain, at]) => chainErrors(chain, clusters, at));
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
