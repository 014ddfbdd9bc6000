/** TLS without certificates, for tests: both ends know a key. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { TLSSocket } from 'node:tls';

const psk = randomBytes(32);

export const SHARED_KEY = {
  ciphers: 'PSK-AES128-GCM-SHA256',
  maxVersion: 'TLSv1.2' as const,
  pskCallback: () => ({ psk, identity: 'test' }),
};

/** Of a server. */
export const SHARED_KEY_TAKEN = { ...SHARED_KEY, pskCallback: () => psk };

/** Takes one connection as a listener of ours does: a TLS socket is made of the accepted one. Resolves when it is secure. */
export async function listenSecure(): Promise<{ port: number; taken: Promise<TLSSocket>; close(): void }> {
  const server = createServer({ allowHalfOpen: true });
  const taken = new Promise<TLSSocket>((resolve) => {
    server.once('connection', (raw) => {
      const options = { isServer: true, ...SHARED_KEY_TAKEN };
      const socket = new TLSSocket(raw, options);
      socket.once('secure', () => resolve(socket));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, taken, close: () => server.close() };
}
