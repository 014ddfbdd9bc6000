/** Connection managers as the control plane makes them, on listeners of a test without TLS or redirection around them. */

import { type Json, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import type { EnvoyKind, Translated } from '../support/translated.ts';
import { clientIn } from '../support/translated.ts';

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
const listAt = (json: JsonObject | undefined, name: string): readonly JsonObject[] => {
  const list = json?.[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
};

/** Of one chain of a listener; what the control plane says of the chain itself comes along. */
export interface Managed {
  readonly manager: JsonObject;
  readonly metadata: JsonObject | undefined;
}

export function managed(made: Translated, listener: 'inbound' | 'outbound', chain: string, pod: string): Managed {
  const kind: EnvoyKind = 'listener';
  const found = listAt(made.resource(kind, listener, clientIn('shop', pod)), 'filter_chains').find(
    ({ name }) => name === chain,
  );
  const config = listAt(found, 'filters').at(-1)?.['typed_config'];
  if (!isObject(config)) throw new Error(`${listener} has no chain ${chain}`);
  const { access_log: _, ...manager } = config;
  return { manager, metadata: isObject(found?.['metadata']) ? found['metadata'] : undefined };
}

/** The chain of requests to a Service, with the routes that it would ask for. */
export function managedClient(made: Translated, service: string, pod: string): Managed {
  const { manager } = managed(made, 'outbound', 'http', pod);
  const { rds: _, ...fields } = manager;
  const routes = made.resource('route', service, clientIn('shop'));
  return { manager: { ...fields, route_config: routes ?? {} }, metadata: undefined };
}

export const listenerWith = (
  name: string,
  port: number,
  direction: 'INBOUND' | 'OUTBOUND',
  { manager, metadata }: Managed,
): JsonObject => ({
  name,
  traffic_direction: direction,
  address: { socket_address: { address: '127.0.0.1', port_value: port } },
  filter_chains: [
    {
      ...(metadata === undefined ? {} : { metadata }),
      filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
    },
  ],
});

/** The same behind TLS. */
export const withTls = (listener: JsonObject, tls: JsonObject): JsonObject => ({
  ...listener,
  filter_chains: listAt(listener, 'filter_chains').map((chain) => ({ ...chain, transport_socket: tls })),
});

/** Of a cluster whose endpoints are spoken to in HTTP/2. */
export const overHttp2: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
};
