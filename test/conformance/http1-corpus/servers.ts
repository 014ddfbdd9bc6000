/** Real servers that are given what went upstream, octet for octet, and say what requests they took it for. */
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { accepts } from '../../support/nginx.ts';
import { freePort, Program } from '../../support/pair-process.ts';

export interface RealServer {
  readonly name: string;
  /** False: it answers as soon as it has the head. */
  readonly readsContent: boolean;
  /** `method target` and, if the server says so, the content, of each request that it answered. */
  read(bytes: string): Promise<readonly string[]>;
  /** Whether a request is one that this server handles at all. */
  handles(method: string): boolean;
  /** What `read` says of a request. */
  describe(request: { readonly method: string; readonly target: string; readonly body: string }): string;
  stop(): Promise<void>;
}

const REPLAY_TIMEOUT_MS = 5_000;

/** Each answer's content, marked so that answers can be told apart without knowing HTTP. */
function replay(port: number, bytes: string): Promise<readonly string[]> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    const done = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve([...text.matchAll(/<<(.*?)>>/gs)].map(([, seen = '']) => seen));
    };
    const timer = setTimeout(done, REPLAY_TIMEOUT_MS);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.once('end', done);
    socket.once('close', done);
    socket.on('error', () => undefined);
    socket.end(Buffer.from(bytes, 'latin1'));
  });
}

async function content(message: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part);
  return Buffer.concat(parts).toString('hex');
}

/** Node's server with its lenient parser. */
export async function startNode(): Promise<RealServer> {
  const server = createServer({ insecureHTTPParser: true, maxHeaderSize: 131_072 }, (message, response) => {
    content(message).then(
      (body) => response.end(`<<${message.method} ${message.url} ${body}>>`),
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    name: 'Node with insecureHTTPParser',
    readsContent: true,
    read: (bytes) => replay(port, bytes),
    handles: (method) => ['GET', 'POST', 'PUT', 'DELETE', 'M-SEARCH', 'TRACE'].includes(method),
    describe: ({ method, target, body }) => `${method} ${target} ${Buffer.from(body, 'latin1').toString('hex')}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export async function startNginx(folder: string): Promise<RealServer> {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((p) => `${p}_temp_path ${folder}/${p};`);
  const file = join(folder, 'corpus.conf');
  writeFileSync(
    file,
    `daemon off; master_process off; user root; worker_processes 1; pid ${folder}/corpus.pid; error_log /dev/null;
events { worker_connections 512; }
http {
  access_log off; client_max_body_size 0; keepalive_requests 1000000; large_client_header_buffers 8 128k;
  underscores_in_headers on; ignore_invalid_headers off; default_type text/plain;
  ${temporary.join(' ')}
  server { listen 127.0.0.1:${port}; location / { return 200 "<<$request_method $request_uri>>"; } }
}
`,
  );
  const program = new Program('nginx', ['-c', file, '-p', folder, '-e', 'stderr']);
  await program.until('listening', () => accepts('127.0.0.1', port));
  return {
    name: 'nginx',
    readsContent: false,
    read: (bytes) => replay(port, bytes),
    handles: (method) => /^[A-Z]+$/.test(method) && method !== 'TRACE',
    describe: ({ method, target }) => `${method} ${target}`,
    stop: () => program.stop(),
  };
}
