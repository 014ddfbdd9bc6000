/** Pairs of sidecars for real clients and servers: what is spoken on the wire and to the application is chosen. */
import type { CertificateFolder } from '../certs.ts';
import {
  bootstrap,
  cluster,
  downstreamTls,
  httpListener,
  type JsonObject,
  route,
  tcpListener,
  typed,
  upstreamTls,
} from '../pair-bootstrap.ts';
import { freePort, type Program } from '../pair-process.ts';
import { startSidecar } from '../pair-sidecar.ts';

const CLIENT_ID = 'spiffe://cluster.local/ns/shop/sa/client';
const SERVER_ID = 'spiffe://cluster.local/ns/shop/sa/server';

export type Spoken = 'http1' | 'http2';

const ALPN = { http1: 'weft-http/1.1', http2: 'weft-h2' } as const;

export interface PeerPair {
  /** Where clients connect to. */
  readonly port: number;
  readonly clientAdmin: number;
  readonly clientProgram: Program;
  readonly serverProgram: Program;
  stop(): Promise<void>;
}

export interface PeerPairOptions {
  readonly applicationPort: number;
  /** Between the sidecars. */
  readonly wire: Spoken;
  /** To the application. */
  readonly application: Spoken;
  /** Further fields of the client side's route. */
  readonly route?: JsonObject;
}

/** Of a cluster that speaks HTTP/2 with its endpoints. */
const http2Fields: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
};

const speaks = (spoken: Spoken): { readonly fields?: JsonObject } =>
  spoken === 'http2' ? { fields: http2Fields } : {};

interface Sides {
  readonly port: number;
  readonly clientAdmin: number;
  readonly server: (adminPort: number) => string;
  readonly client: (adminPort: number) => string;
}

async function start(folder: string, { port, clientAdmin, server, client }: Sides): Promise<PeerPair> {
  const serverProgram = await startSidecar(folder, server(await freePort()));
  const clientProgram = await startSidecar(folder, client(clientAdmin)).catch(async (error: unknown) => {
    await serverProgram.stop();
    throw error;
  });
  return {
    port,
    clientAdmin,
    clientProgram,
    serverProgram,
    async stop() {
      await Promise.all([clientProgram.stop(), serverProgram.stop()]);
    },
  };
}

/** Both sides read HTTP. */
export async function startPeerPair(
  folder: string,
  authority: CertificateFolder,
  options: PeerPairOptions,
): Promise<PeerPair> {
  const clientFiles = await authority.issue('peer-client', CLIENT_ID);
  const serverFiles = await authority.issue('peer-server', SERVER_ID);
  const [port, wirePort, clientAdmin] = [await freePort(), await freePort(), await freePort()];
  return start(folder, {
    port,
    clientAdmin,
    server: (adminPort) =>
      bootstrap({
        id: 'server',
        adminPort,
        listeners: [
          httpListener({
            name: 'inbound',
            at: { ip: '127.0.0.1', port: wirePort },
            direction: 'INBOUND',
            tls: downstreamTls(serverFiles, ALPN[options.wire]),
            manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
            routes: [route('any', '/', 'application', { timeout: '60s' })],
          }),
        ],
        clusters: [
          cluster({
            name: 'application',
            endpoints: [{ ip: '127.0.0.1', port: options.applicationPort }],
            ...speaks(options.application),
          }),
        ],
      }),
    client: (adminPort) =>
      bootstrap({
        id: 'client',
        adminPort,
        listeners: [
          httpListener({
            name: 'outbound',
            at: { ip: '127.0.0.1', port },
            direction: 'OUTBOUND',
            manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
            routes: [route('any', '/', 'server', { timeout: '60s', ...options.route })],
          }),
        ],
        clusters: [
          cluster({
            name: 'server',
            endpoints: [{ ip: '127.0.0.1', port: wirePort }],
            tls: upstreamTls(clientFiles, SERVER_ID, ALPN[options.wire]),
            ...speaks(options.wire),
          }),
        ],
      }),
  });
}

/** Neither side reads what passes. */
export async function startOpaquePair(
  folder: string,
  authority: CertificateFolder,
  applicationPort: number,
): Promise<PeerPair> {
  const clientFiles = await authority.issue('peer-client', CLIENT_ID);
  const serverFiles = await authority.issue('peer-server', SERVER_ID);
  const [port, wirePort, clientAdmin] = [await freePort(), await freePort(), await freePort()];
  return start(folder, {
    port,
    clientAdmin,
    server: (adminPort) =>
      bootstrap({
        id: 'server',
        adminPort,
        listeners: [
          tcpListener({
            name: 'inbound',
            at: { ip: '127.0.0.1', port: wirePort },
            direction: 'INBOUND',
            cluster: 'application',
            tls: downstreamTls(serverFiles, 'weft-tcp'),
          }),
        ],
        clusters: [cluster({ name: 'application', endpoints: [{ ip: '127.0.0.1', port: applicationPort }] })],
      }),
    client: (adminPort) =>
      bootstrap({
        id: 'client',
        adminPort,
        listeners: [
          tcpListener({ name: 'outbound', at: { ip: '127.0.0.1', port }, direction: 'OUTBOUND', cluster: 'server' }),
        ],
        clusters: [
          cluster({
            name: 'server',
            endpoints: [{ ip: '127.0.0.1', port: wirePort }],
            tls: upstreamTls(clientFiles, SERVER_ID, 'weft-tcp'),
          }),
        ],
      }),
  });
}
