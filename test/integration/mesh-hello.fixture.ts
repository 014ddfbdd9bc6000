import { once } from 'node:events';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { connect, type SecureContext } from 'node:tls';
import { MESH_ALPN } from '@weft/policies/model/tls';

/** A ClientHello of the mesh, as a sidecar makes it. */
export async function meshHello(secureContext: SecureContext): Promise<Buffer> {
  const tap = createServer();
  tap.listen(0, '127.0.0.1');
  await once(tap, 'listening');
  const dialled = connect({
    port: (tap.address() as AddressInfo).port,
    host: '127.0.0.1',
    ALPNProtocols: [MESH_ALPN.tcp],
    secureContext,
    rejectUnauthorized: false,
  });
  dialled.on('error', () => undefined);
  try {
    const [socket]: unknown[] = await once(tap, 'connection');
    if (!(socket instanceof Socket)) throw new Error('no connection');
    const [hello]: unknown[] = await once(socket, 'data');
    socket.destroy();
    if (!Buffer.isBuffer(hello)) throw new Error('no bytes');
    return hello;
  } finally {
    dialled.destroy();
    tap.close();
  }
}
