import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** Every TLS socket has this, and no other. `instanceof` would load TLS for a sidecar that never uses it, 2.5 MB. */
export const isTlsSocket = (socket: Duplex): socket is TLSSocket => 'encrypted' in socket && socket.encrypted === true;

/**
 * After the handshake a record that cannot be read ends the connection (RFC 8446 section 5.2), and so does a write that TLS
 * refuses. The runtime sends the alert, but closes nothing, and tells this event alone on a socket that it did not accept itself.
 */
export function closeOnTlsError(socket: TLSSocket): void {
  socket.on('_tlsError', (error: Error) => socket.destroy(error));
}
