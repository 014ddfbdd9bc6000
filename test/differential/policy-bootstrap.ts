/** Bootstraps of what policies were translated to: the resources themselves, but for addresses and names of the test. */
import { bootstrap, type JsonObject } from '../support/pair-bootstrap.ts';
import type { Table, Wires } from './case.ts';
import { IP } from './origin.ts';
import { APPLICATIONS, accessLog, listenerName, type Ports, wiresOf } from './tables.ts';

/** Each listener has clusters of its own, so that what ends a connection meets only requests of its kind. */
function renamed(json: unknown, suffix: string): string {
  return JSON.stringify(json).replaceAll(/"outbound\/[^"]+"/g, (name) => `${name.slice(0, -1)}-${suffix}"`);
}

function atHome(text: string, { up }: Wires, ip: string, ports: Ports): string {
  return text.replaceAll(/"address":"10\.1\.0\.(\d)","port_value":8080/g, (_, number: string) => {
    const application = APPLICATIONS[Number(number) - 1] ?? '';
    return `"address":"${ip}","port_value":${ports[`${application}-${up}`] ?? 0}`;
  });
}

/** A backend that is invalid has a name that nothing has. Envoy minds that in a bootstrap, as it does not by a stream. */
const unchecked = (ip: string): JsonObject => (ip === IP.envoy ? { validate_clusters: false } : {});

function listener(table: Table, name: string, ip: string, port: number): JsonObject {
  const { rds: _, ...manager } = table.translated?.manager ?? {};
  const virtualHosts: readonly JsonObject[] = JSON.parse(renamed(table.virtualHosts, name));
  return {
    name,
    traffic_direction: 'OUTBOUND',
    address: { socket_address: { address: ip, port_value: port } },
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              ...manager,
              delayed_close_timeout: '0.015s',
              generate_request_id: false,
              access_log: [accessLog],
              route_config: { name, virtual_hosts: virtualHosts, ...unchecked(ip) },
            },
          },
        ],
      },
    ],
  };
}

export function policyBootstrap(tables: readonly Table[], ip: string, ports: Ports, adminPort: number): string {
  const listeners: JsonObject[] = [];
  const clusters: JsonObject[] = [];
  for (const [i, table] of tables.entries()) {
    for (const wires of wiresOf(table)) {
      const name = listenerName(i, wires);
      listeners.push(listener(table, name, ip, ports[name] ?? 0));
      const own: readonly JsonObject[] = JSON.parse(
        atHome(renamed(table.translated?.clusters ?? [], name), wires, ip, ports),
      );
      clusters.push(...own);
    }
  }
  return bootstrap({ id: 'policies', adminPort, listeners, clusters });
}
