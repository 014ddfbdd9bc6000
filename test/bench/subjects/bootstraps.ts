/** The bootstraps of the benchmarks, the same for Weft and Envoy: every feature that is on, is on in both. */
import type { CertificateFiles } from '../../support/certs.ts';
import { CLIENT_ID, SERVER_ID } from '../../support/pair.ts';
import {
  type At,
  allowOnly,
  bootstrap,
  cluster,
  downstreamTls,
  httpListener,
  type Json,
  type JsonObject,
  route,
  typed,
  upstreamTls,
} from '../../support/pair-bootstrap.ts';
import { freePort } from '../../support/pair-process.ts';
import type { BootstrapText } from './kinds.ts';
import type { PairFiles, Wire } from './subject.ts';

/** Fields that a benchmark names and a proxy may not take yet. */
export type OptionalField = 'outlier_detection' | 'generate_request_id' | 'ecdh_curves';

export interface Features {
  /** What is left out, of both proxies. */
  readonly without: ReadonlySet<OptionalField>;
}

const loopback = (port: number): At => ({ ip: '127.0.0.1', port });

const retryPolicy: JsonObject = { retry_on: 'connect-failure,refused-stream,reset,5xx', num_retries: 2 };
const outlierDetection: JsonObject = { consecutive_5xx: 5, interval: '10s', base_ejection_time: '30s' };
const manager: JsonObject = { generate_request_id: true };
/** As high as no benchmark reaches: what is compared is not the queue of a full cluster. */
const thresholds: JsonObject = { max_connections: 10_000, max_pending_requests: 10_000, max_requests: 10_000 };

const protocolOptions = (wire: Wire, common: JsonObject | undefined): JsonObject => ({
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed('extensions.upstreams.http.v3.HttpProtocolOptions', {
    explicit_http_config: wire === 'h2' ? { http2_protocol_options: {} } : { http_protocol_options: {} },
    ...(common === undefined ? {} : { common_http_protocol_options: common }),
  }),
});

interface UpstreamOptions {
  readonly name: string;
  readonly port: number;
  readonly wire: Wire;
  readonly tls?: JsonObject;
  readonly common?: JsonObject | undefined;
}

const upstream = ({ name, port, wire, tls, common }: UpstreamOptions): JsonObject =>
  cluster({
    name,
    endpoints: [loopback(port)],
    ...(tls === undefined ? {} : { tls }),
    fields: {
      typed_extension_protocol_options: protocolOptions(wire, common),
      outlier_detection: outlierDetection,
      circuit_breakers: { thresholds: [thresholds] },
    },
  });

const retried = (to: string): JsonObject => route('any', '/', to, { retry_policy: retryPolicy });

/** No access log, and without the fields that one of the proxies does not take; TLS with one group where one is named. */
function finished(text: string, { without }: Features, group?: string): string {
  const left = new Set<string>(['access_log', ...without]);
  return JSON.stringify(
    JSON.parse(text, (key, value: Json) => {
      if (left.has(key)) return undefined;
      if (key !== 'tls_params' || group === undefined || without.has('ecdh_curves')) return value;
      return Object.assign({ ecdh_curves: [group] }, value);
    }),
  );
}

export interface SingleTexts {
  readonly proxy: BootstrapText;
  readonly port: number;
}

/** One proxy, plaintext on both sides. */
export async function singleTexts(applicationPort: number, wire: Wire, features: Features): Promise<SingleTexts> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const text = bootstrap({
    id: 'single',
    adminPort,
    listeners: [
      httpListener({
        name: 'outbound',
        at: loopback(port),
        direction: 'OUTBOUND',
        manager,
        routes: [retried('application')],
      }),
    ],
    clusters: [upstream({ name: 'application', port: applicationPort, wire })],
  });
  return { proxy: { text: finished(text, features), adminPort }, port };
}

export interface PairOptions {
  readonly files: PairFiles;
  readonly applicationPort: number;
  /** Between the sidecars. */
  readonly wire: Wire;
  /** To the application. */
  readonly application: Wire;
  readonly features: Features;
  /** Of the connections between the sidecars; more than that is a new one. */
  readonly requestsPerConnectionMax?: number;
  /** The one group of the key exchange. */
  readonly group?: string;
  /** Of the server's side; without them the client is let in. */
  readonly filters?: readonly JsonObject[];
}

export interface PairTexts {
  readonly client: BootstrapText;
  readonly server: BootstrapText;
  readonly port: number;
  readonly wirePort: number;
}

/** What Weft's sidecars negotiate among themselves. */
export const alpnOf = (wire: Wire): string => (wire === 'h2' ? 'weft-h2' : 'weft-http/1.1');

/** Envoy tells HTTP/2 by the ALPN `h2` alone, and has to be told. */
const inboundManager = (wire: Wire): JsonObject => (wire === 'h2' ? { ...manager, codec_type: 'HTTP2' } : manager);

/** Client's and server's proxy with mutual TLS 1.3 between them, each checking the other's SPIFFE ID. */
export async function pairTexts(options: PairOptions): Promise<PairTexts> {
  const { files, applicationPort, wire, application, features, requestsPerConnectionMax, group } = options;
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()] as const;
  const [port, wirePort, clientAdmin, serverAdmin] = ports;
  const server = bootstrap({
    id: 'server',
    adminPort: serverAdmin,
    listeners: [
      httpListener({
        name: 'inbound',
        at: loopback(wirePort),
        direction: 'INBOUND',
        manager: inboundManager(wire),
        tls: downstreamTls(files.server, alpnOf(wire)),
        filters: [...(options.filters ?? [allowOnly('shop/allow-client/0', CLIENT_ID)])],
        routes: [retried('application')],
      }),
    ],
    clusters: [upstream({ name: 'application', port: applicationPort, wire: application })],
  });
  const client = bootstrap({
    id: 'client',
    adminPort: clientAdmin,
    listeners: [
      httpListener({
        name: 'outbound',
        at: loopback(port),
        direction: 'OUTBOUND',
        manager,
        routes: [retried('server')],
      }),
    ],
    clusters: [
      upstream({
        name: 'server',
        port: wirePort,
        wire,
        tls: upstreamTls(files.client, SERVER_ID, alpnOf(wire)),
        common:
          requestsPerConnectionMax === undefined
            ? undefined
            : { max_requests_per_connection: requestsPerConnectionMax },
      }),
    ],
  });
  return {
    client: { text: finished(client, features, group), adminPort: clientAdmin },
    server: { text: finished(server, features, group), adminPort: serverAdmin },
    port,
    wirePort,
  };
}

const networkRbac: JsonObject = {
  name: 'envoy.filters.network.rbac',
  typed_config: typed('extensions.filters.network.rbac.v3.RBAC', {
    stat_prefix: 'allow',
    rules: {
      action: 'ALLOW',
      policies: {
        'shop/allow-client/0': {
          permissions: [{ any: true }],
          principals: [{ authenticated: { principal_name: { exact: CLIENT_ID } } }],
        },
      },
    },
  }),
};

const opaqueListener = (name: string, port: number, inbound: CertificateFiles | undefined): JsonObject => ({
  name,
  traffic_direction: inbound === undefined ? 'OUTBOUND' : 'INBOUND',
  address: { socket_address: { address: '127.0.0.1', port_value: port } },
  filter_chains: [
    {
      ...(inbound === undefined ? {} : { transport_socket: downstreamTls(inbound, 'weft-tcp') }),
      filters: [
        ...(inbound === undefined ? [] : [networkRbac]),
        {
          name: 'envoy.filters.network.tcp_proxy',
          typed_config: typed('extensions.filters.network.tcp_proxy.v3.TcpProxy', {
            stat_prefix: name,
            cluster: name,
          }),
        },
      ],
    },
  ],
});

interface Way {
  readonly port: number;
  readonly wirePort: number;
  readonly listeners: { readonly client: JsonObject; readonly server: JsonObject };
  readonly clusters: { readonly client: JsonObject; readonly server: JsonObject };
}

async function way(files: PairFiles, name: string, applicationPort: number): Promise<Way> {
  const [port, wirePort] = [await freePort(), await freePort()];
  const tls = upstreamTls(files.client, SERVER_ID, 'weft-tcp');
  return {
    port,
    wirePort,
    listeners: {
      client: opaqueListener(name, port, undefined),
      server: opaqueListener(name, wirePort, files.server),
    },
    clusters: {
      client: upstream({ name, port: wirePort, wire: 'h1', tls }),
      server: upstream({ name, port: applicationPort, wire: 'h1' }),
    },
  };
}

/** Opaque TCP through a pair: one way to what sends, one to what takes. */
export async function opaquePairTexts(
  files: PairFiles,
  sourcePort: number,
  sinkPort: number,
  features: Features,
): Promise<PairTexts & { readonly sinkPort: number }> {
  const ways: Way[] = [];
  for (const applicationPort of [sourcePort, sinkPort])
    ways.push(await way(files, `way-${ways.length}`, applicationPort));
  const [clientAdmin, serverAdmin] = [await freePort(), await freePort()];
  const text = (id: 'client' | 'server', adminPort: number): BootstrapText => ({
    adminPort,
    text: finished(
      bootstrap({
        id,
        adminPort,
        listeners: ways.map(({ listeners }) => listeners[id]),
        clusters: ways.map(({ clusters }) => clusters[id]),
      }),
      features,
    ),
  });
  const [down, up] = ways;
  return {
    client: text('client', clientAdmin),
    server: text('server', serverAdmin),
    port: down?.port ?? 0,
    wirePort: down?.wirePort ?? 0,
    sinkPort: up?.port ?? 0,
  };
}
