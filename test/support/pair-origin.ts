/** An application of the test that shows exactly what arrived. */
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net';

const portOf = (server: NetServer): number => (server.address() as AddressInfo).port;

/** Accepts connections, records the bytes and answers as it is told. */
export class RawOrigin {
  readonly received: Buffer[] = [];
  connections = 0;
  private readonly server: NetServer;
  private readonly sockets = new Set<Socket>();

  private constructor(onData: (socket: Socket, bytes: Buffer) => void, onEnd: (socket: Socket) => void) {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('data', (bytes: Buffer) => {
        this.received.push(bytes);
        onData(socket, bytes);
      });
      socket.on('end', () => onEnd(socket));
      socket.on('error', () => socket.destroy());
      socket.on('close', () => this.sockets.delete(socket));
    });
  }

  static async start(
    onData: (socket: Socket, bytes: Buffer) => void,
    onEnd: (socket: Socket) => void = (socket) => socket.end(),
    port = 0,
  ): Promise<RawOrigin> {
    const origin = new RawOrigin(onData, onEnd);
    origin.server.listen(port, '127.0.0.1');
    await once(origin.server, 'listening');
    return origin;
  }

  get port(): number {
    return portOf(this.server);
  }

  /** For protocols in which the server speaks first. */
  onConnection(greet: (socket: Socket) => void): void {
    this.server.on('connection', greet);
  }

  get text(): string {
    return Buffer.concat(this.received).toString('latin1');
  }

  clear(): void {
    this.received.length = 0;
    this.connections = 0;
  }

  async close(): Promise<void> {
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    if (this.server.listening) await once(this.server, 'close');
  }
}

/** Answers `200 ok` to every head, on a connection that stays. */
export const answerOk = (socket: Socket, bytes: Buffer): void => {
  const heads = bytes.toString('latin1').split('\r\n\r\n').length - 1;
  for (let i = 0; i < heads; i++) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n');
};

export interface HttpOrigin {
  readonly port: number;
  readonly server: Server;
  close(): Promise<void>;
}

/** Node's own HTTP server. */
export async function httpOrigin(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  port = 0,
): Promise<HttpOrigin> {
  const server = createHttpServer({ keepAliveTimeout: 60_000 }, handle);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: portOf(server),
    server,
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

/** What came back on a connection, and whether the other side closed it. */
export interface RawAnswer {
  readonly text: string;
  readonly closed: boolean;
}

/** Sends bytes as they are, and reads until the other side closes or `enough` says so. */
export function sendRaw(
  port: number,
  bytes: string | Buffer,
  enough: (text: string) => boolean = () => false,
  timeoutMs = 10_000,
): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let text = '';
    const finish = (closed: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, closed });
    };
    const timer = setTimeout(() => finish(false), timeoutMs);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (enough(text)) finish(false);
    });
    socket.once('end', () => finish(true));
    socket.once('close', () => finish(true));
    socket.on('error', () => undefined);
    socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  });
}
