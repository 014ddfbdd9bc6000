/** One `weft sidecar` process in front of one application, for a whole corpus. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { bootstrap, cluster, httpListener, route } from '../../support/pair-bootstrap.ts';
import { freePort } from '../../support/pair-process.ts';
import { startSidecar, testFolder } from '../../support/pair-sidecar.ts';

export interface CorpusSidecar {
  readonly folder: string;
  readonly port: number;
  connect(): Duplex;
  stop(): Promise<void>;
}

export async function startCorpusSidecar(name: string, accept: (stream: Duplex) => void): Promise<CorpusSidecar> {
  const folder = testFolder(name);
  const sockets = new Set<Socket>();
  const origin = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    accept(socket);
  });
  origin.listen(0, '127.0.0.1');
  await once(origin, 'listening');
  const [port, adminPort] = [await freePort(), await freePort()];
  const application = { ip: '127.0.0.1', port: (origin.address() as AddressInfo).port };
  const program = await startSidecar(
    folder,
    bootstrap({
      id: name,
      adminPort,
      listeners: [
        httpListener({
          name: 'in',
          at: { ip: '127.0.0.1', port },
          direction: 'INBOUND',
          routes: [route('any', '/', 'application')],
          // Upgrades of any kind: what becomes of them is what the corpus is about.
          manager: { access_log: [], upgrade_configs: [{ upgrade_type: '*' }] },
        }),
      ],
      clusters: [cluster({ name: 'application', endpoints: [application] })],
    }),
  );
  return {
    folder,
    port,
    connect: () => connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true }),
    async stop() {
      await program.stop();
      origin.close();
      for (const socket of sockets) socket.destroy();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
