/** The applications of the rig: three, in both versions of HTTP, for both proxies. */
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { freePort } from '../support/pair-process.ts';
import { IP, Script } from './origin.ts';
import { originH1 } from './origin-h1.ts';
import { originH2 } from './origin-h2.ts';
import { APPLICATIONS, type Ports } from './tables.ts';

export class Applications {
  readonly script: Script;
  ports: Ports = {};
  private readonly servers: Server[] = [];
  private readonly sockets = new Set<Socket>();

  /** `copying`: the application that only takes copies. */
  constructor(copying?: string) {
    this.script = new Script(copying);
  }

  async start(): Promise<void> {
    const ports: Record<string, number> = { down: await freePort() };
    for (const name of APPLICATIONS) {
      for (const [wire, make] of [
        ['h1', originH1],
        ['h2', originH2],
      ] as const) {
        const port = await freePort();
        ports[`${name}-${wire}`] = port;
        for (const ip of Object.values(IP)) {
          const server = make(name, this.script, this.sockets);
          server.listen({ port, host: ip });
          await once(server, 'listening');
          this.servers.push(server);
        }
      }
    }
    this.ports = ports;
  }

  stop(): void {
    for (const server of this.servers) server.close();
    for (const socket of this.sockets) socket.destroy();
  }
}
