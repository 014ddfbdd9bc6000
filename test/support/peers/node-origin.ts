/** Applications made with Node's http and http2, which do the same: what is sent is what is asked for by path. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Spoken } from './pair.ts';

type Request = IncomingMessage | Http2ServerRequest;
type Response = ServerResponse | Http2ServerResponse;

export interface NodeOrigin {
  readonly port: number;
  /** Requests that the other side gave up. */
  readonly aborted: () => number;
  /** SHA-256 of the last body that was taken in full. */
  readonly taken: () => string;
  stop(): Promise<void>;
}

const CHUNK = Buffer.alloc(65_536, 'weft');

function pour(response: Response, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const part = CHUNK.subarray(0, Math.min(left, CHUNK.length));
      left -= part.length;
      // Of two kinds of response, so that a call through the union is ambiguous.
      const writable: NodeJS.WritableStream = response;
      if (!writable.write(part)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}

export async function startNodeOrigin(spoken: Spoken): Promise<NodeOrigin> {
  let aborted = 0;
  let taken = '';
  const handle = (request: Request, response: Response): void => {
    const url = request.url ?? '';
    response.on('close', () => {
      if (!response.writableFinished) aborted++;
    });
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    if (url.startsWith('/echo')) {
      response.end(`${request.method} ${url} ${request.headers['content-length'] ?? 0}\n`);
    } else if (url === '/body') {
      const readable: Pick<NodeJS.ReadableStream, 'pipe'> = request;
      readable.pipe(response);
    } else if (url === '/trailers') {
      response.setHeader('Trailer', 'x-sum');
      request.resume().on('end', () => {
        response.addTrailers({ 'x-sum': String(request.trailers['x-sent'] ?? 'none') });
        response.end('body');
      });
    } else if (url === '/hints') {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' });
      response.end('after');
    } else if (url === '/break') {
      const writable: NodeJS.WritableStream = response;
      writable.write('half', () => setImmediate(() => ('stream' in response ? response.stream : response).destroy()));
    } else if (url === '/hang') {
      request.resume();
    } else if (url.startsWith('/pour/')) {
      pour(response, Number(url.slice('/pour/'.length)));
    } else if (url === '/slow') {
      const hash = createHash('sha256');
      request.on('data', (chunk: Buffer) => {
        hash.update(chunk);
        request.pause();
        setImmediate(() => request.resume());
      });
      request.on('end', () => {
        taken = hash.digest('hex');
        response.end('taken');
      });
    } else {
      response.statusCode = 404;
      response.end();
    }
  };
  const server = spoken === 'http1' ? createServer(handle) : createHttp2Server(handle);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    aborted: () => aborted,
    taken: () => taken,
    async stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
      if (server.listening) await once(server, 'close');
    },
  };
}
