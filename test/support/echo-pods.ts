/**
 * Applications that say who they are and what reached them, each on a loopback address of its own: over HTTP/1 and
 * HTTP/2, as a server of gRPC, of bytes, and of TLS.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import { createServer as createHttp2Server, type Http2Session, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';

export const HTTP_PORT = 8080;
export const HTTPS_PORT = 8443;
export const TCP_PORT = 9090;
export const GRPC_PORT = 7070;

/** What an application saw of a request. */
export interface Echo {
  readonly pod: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

const flat = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(',') : value]],
    ),
  );

/** RFC: PROTOCOL-HTTP2 of gRPC, "Length-Prefixed-Message". */
export function grpcFrame(text: string): Buffer {
  const message = Buffer.from(text);
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export class EchoPod {
  readonly name: string;
  readonly ip: string;
  /** Requests by path. */
  readonly requests = new Map<string, number>();
  private readonly servers: Server[] = [];
  private readonly sessions = new Set<Http2Session>();

  constructor(name: string, ip: string) {
    this.name = name;
    this.ip = ip;
  }

  async start(tls: TlsFiles | undefined): Promise<void> {
    const echo = (method: string, path: string, headers: IncomingHttpHeaders): string => {
      this.requests.set(path, (this.requests.get(path) ?? 0) + 1);
      return JSON.stringify({ pod: this.name, method, path, headers: flat(headers) } satisfies Echo);
    };
    const http = createServer((request, response) => {
      request.resume();
      response.setHeader('content-type', 'application/json');
      response.end(echo(request.method ?? '', request.url ?? '', request.headers));
    });
    const grpc = createHttp2Server();
    grpc.on('session', (session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
    grpc.on('stream', (stream: ServerHttp2Stream, headers) => {
      stream.resume();
      stream.on('error', () => undefined);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(grpcFrame(echo(String(headers[':method']), String(headers[':path']), headers)));
    });
    const tcp = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(`${this.name}\n`);
    });
    await Promise.all([this.listen(http, HTTP_PORT), this.listen(grpc, GRPC_PORT), this.listen(tcp, TCP_PORT)]);
    if (tls === undefined) return;
    const secure = createTlsServer({ ...tls }, (socket) => {
      socket.on('error', () => undefined);
      socket.end(`${this.name}\n`);
    });
    await this.listen(secure, HTTPS_PORT);
  }

  stop(): void {
    for (const session of this.sessions) session.destroy();
    for (const server of this.servers) server.close();
  }

  private async listen(server: Server, port: number): Promise<void> {
    this.servers.push(server);
    server.listen(port, this.ip);
    await once(server, 'listening');
  }
}
