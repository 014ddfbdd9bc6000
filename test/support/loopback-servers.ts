/** Servers of a test, each with what it does to a connection. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export class LoopbackServers {
  /** Connections to all of them. */
  accepted = 0;
  private readonly servers: Server[] = [];

  /** Returns its port. A client that has said all leaves the connection half open. */
  async serve(onSocket: (socket: Socket) => void): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.accepted++;
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.servers.push(server);
    return portOf(server);
  }

  at(port: number): Server {
    const found = this.servers.find((server) => portOf(server) === port);
    if (found === undefined) throw new Error(`no server of the test listens on ${port}`);
    return found;
  }

  close(): void {
    for (const server of this.servers) server.close();
  }
}

const portOf = (server: Server): number => (server.address() as AddressInfo | null)?.port ?? 0;
