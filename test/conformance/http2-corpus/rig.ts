/** One `weft sidecar` process with a listener for each way in, and an application behind it in HTTP/1 and in HTTP/2. */
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { type CertificateFiles, CertificateFolder } from '../../support/certs.ts';
import {
  bootstrap,
  cluster,
  downstreamTls,
  httpListener,
  type JsonObject,
  route,
  typed,
  upstreamTls,
} from '../../support/pair-bootstrap.ts';
import { freePort, type Program } from '../../support/pair-process.ts';
import { startSidecar, testFolder } from '../../support/pair-sidecar.ts';

const CLIENT_ID = 'spiffe://cluster.local/ns/shop/sa/client';
const SERVER_ID = 'spiffe://cluster.local/ns/shop/sa/server';

/** How clients come in: HTTP/1, HTTP/2, or as another sidecar. */
export type Way = 'http1' | 'http2' | 'mesh';
/** How the application is spoken to; `mesh`: it is behind another sidecar. */
export type Behind = 'http1' | 'http2' | 'mesh';

export interface Http2Rig {
  readonly folder: string;
  readonly program: Program;
  readonly adminPort: number;
  connect(way: Way, behind: Behind): Duplex;
  stop(): Promise<void>;
}

const http2Fields: JsonObject = {
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
};

async function listening(server: Server, sockets: Set<Socket>): Promise<number> {
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Answered by the proxy itself: how long that takes says nothing of applications. */
const own: JsonObject = {
  name: 'own',
  match: { prefix: '/neighbour' },
  direct_response: { status: 200, body: { inline_string: 'ok' } },
};

export interface RigOptions {
  readonly name: string;
  readonly http1?: (stream: Duplex) => void;
  readonly http2?: (stream: Duplex) => void;
  readonly mesh?: (stream: Duplex) => void;
  readonly manager?: JsonObject;
  readonly route?: JsonObject;
  readonly cluster?: JsonObject;
}

const tlsOf = (files: CertificateFiles) => ({
  cert: readFileSync(files.certificateFile),
  key: readFileSync(files.keyFile),
  ca: readFileSync(files.trustFile),
  ALPNProtocols: ['weft-h2'],
});

export async function startHttp2Rig(options: RigOptions): Promise<Http2Rig> {
  const folder = testFolder(options.name);
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const authority = await CertificateFolder.make(folder);
  const client = await authority.issue('client', CLIENT_ID);
  const server = await authority.issue('server', SERVER_ID);
  const clusters: JsonObject[] = [];
  const application = async (behind: Behind, accept: ((stream: Duplex) => void) | undefined): Promise<void> => {
    if (accept === undefined) return;
    const listener =
      behind === 'mesh'
        ? createTlsServer({ ...tlsOf(server), requestCert: true, allowHalfOpen: true, noDelay: true }, accept)
        : createServer({ allowHalfOpen: true, noDelay: true }, accept);
    listener.on('tlsClientError', () => undefined);
    servers.push(listener);
    const port = await listening(listener, sockets);
    clusters.push(
      cluster({
        name: behind,
        endpoints: [{ ip: '127.0.0.1', port }],
        fields: { ...(behind === 'http1' ? {} : http2Fields), ...options.cluster },
        ...(behind === 'mesh' ? { tls: upstreamTls(client, SERVER_ID, 'weft-h2') } : {}),
      }),
    );
  };
  await application('http1', options.http1);
  await application('http2', options.http2);
  await application('mesh', options.mesh);

  const ports = new Map<string, number>();
  const listeners: JsonObject[] = [];
  for (const way of ['http1', 'http2', 'mesh'] as const) {
    for (const { name: behind } of clusters) {
      const port = await freePort();
      ports.set(`${way} ${behind}`, port);
      listeners.push(
        httpListener({
          name: `${way}-${behind}`,
          at: { ip: '127.0.0.1', port },
          direction: 'INBOUND',
          routes: [own, route('any', '/', String(behind), options.route)],
          ...(way === 'mesh' ? { tls: downstreamTls(server, 'weft-h2') } : {}),
          manager: { codec_type: 'AUTO', access_log: [], ...options.manager },
        }),
      );
    }
  }
  const adminPort = await freePort();
  const program = await startSidecar(folder, bootstrap({ id: options.name, adminPort, listeners, clusters }));
  return {
    folder,
    program,
    adminPort,
    connect(way, behind) {
      const at = { port: ports.get(`${way} ${behind}`) ?? 0, host: '127.0.0.1', allowHalfOpen: true, noDelay: true };
      if (way !== 'mesh') return connect(at);
      return connectTls({ ...at, ...tlsOf(client), checkServerIdentity: () => undefined });
    },
    async stop() {
      await program.stop();
      for (const one of servers) one.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
