/** Two sidecars with mutual TLS between them, in front of an application of the test. */
import type { CertificateFolder } from './certs.ts';
import {
  allowOnly,
  bootstrap,
  cluster,
  downstreamTls,
  httpListener,
  type JsonObject,
  route,
  upstreamTls,
} from './pair-bootstrap.ts';
import { freePort, type Program } from './pair-process.ts';
import { startSidecar } from './pair-sidecar.ts';

export const CLIENT_ID = 'spiffe://cluster.local/ns/shop/sa/client';
export const SERVER_ID = 'spiffe://cluster.local/ns/shop/sa/server';

export interface PairOptions {
  readonly applicationPort: number;
  /** Instead of one route to the server. Its cluster is `server`. */
  readonly routes?: readonly JsonObject[];
  /** False: no access log but of errors. */
  readonly logs?: boolean;
  /** Further clusters of the client's side. */
  readonly clusters?: readonly JsonObject[];
}

export interface PairTexts {
  readonly client: string;
  readonly server: string;
  readonly port: number;
  readonly wirePort: number;
  readonly clientAdmin: number;
  readonly serverAdmin: number;
}

export interface Pair extends PairTexts {
  readonly clientProgram: Program;
  readonly serverProgram: Program;
  stop(): Promise<void>;
}

/** The two bootstraps; either can be given to Weft or to Envoy. */
export async function pairTexts(authority: CertificateFolder, options: PairOptions): Promise<PairTexts> {
  const clientFiles = await authority.issue('pair-client', CLIENT_ID);
  const serverFiles = await authority.issue('pair-server', SERVER_ID);
  const [port, wirePort, clientAdmin, serverAdmin] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const upgrades: JsonObject = { upgrade_configs: [{ upgrade_type: 'websocket' }, { upgrade_type: 'echo' }] };
  const manager: JsonObject = options.logs === false ? { ...upgrades, access_log: [] } : upgrades;
  const server = bootstrap({
    id: 'server',
    adminPort: serverAdmin,
    listeners: [
      httpListener({
        name: 'inbound',
        at: { ip: '127.0.0.1', port: wirePort },
        direction: 'INBOUND',
        manager,
        tls: downstreamTls(serverFiles),
        filters: [allowOnly('shop/allow-client/0', CLIENT_ID)],
        routes: [route('any', '/', 'application')],
      }),
    ],
    clusters: [cluster({ name: 'application', endpoints: [{ ip: '127.0.0.1', port: options.applicationPort }] })],
  });
  const client = bootstrap({
    id: 'client',
    adminPort: clientAdmin,
    listeners: [
      httpListener({
        name: 'outbound',
        at: { ip: '127.0.0.1', port },
        also: [{ ip: '::1', port }],
        direction: 'OUTBOUND',
        manager,
        routes: options.routes ?? [route('any', '/', 'server')],
      }),
    ],
    clusters: [
      cluster({
        name: 'server',
        endpoints: [{ ip: '127.0.0.1', port: wirePort }],
        tls: upstreamTls(clientFiles, SERVER_ID),
      }),
      ...(options.clusters ?? []),
    ],
  });
  return { client, server, port, wirePort, clientAdmin, serverAdmin };
}

/** Both sides as `weft sidecar -c` processes. */
export async function startPair(folder: string, authority: CertificateFolder, options: PairOptions): Promise<Pair> {
  const texts = await pairTexts(authority, options);
  const [serverProgram, clientProgram] = await Promise.all([
    startSidecar(folder, texts.server),
    startSidecar(folder, texts.client),
  ]);
  return {
    ...texts,
    clientProgram,
    serverProgram,
    async stop() {
      await Promise.all([clientProgram.stop(), serverProgram.stop()]);
    },
  };
}
