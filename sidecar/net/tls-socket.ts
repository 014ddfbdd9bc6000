import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

/** Every TLS socket has this, and no other. `instanceof` would load TLS for a sidecar that never uses it, 2.5 MB. */
export const isTlsSocket = (socket: Duplex): socket is TLSSocket => 'encrypted' in socket && socket.encrypted === true;
