import type { Duplex } from 'node:stream';
import { fileDescriptor, setSocketOption } from './socket-options.ts';

/** asm-generic/socket.h; its value is struct linger { int l_onoff; int l_linger; }. */
const SOL_SOCKET = 1;
const SO_LINGER = 13;

/**
 * Closes a connection with RST: what was sent is not the whole, and its receiver must not take it for that. The runtime
 * can do so for plain sockets only; a TLS connection that ends with FIN and no close_notify (RFC 8446 section 6.1) looks
 * whole to many receivers, the runtime's own among them. socket(7): closing with a linger time of zero resets.
 */
export function resetConnection(socket: Duplex): void {
  if (socket.destroyed) return;
  const fd = fileDescriptor(socket);
  if (fd >= 0) setSocketOption(fd, SOL_SOCKET, SO_LINGER, 1, 0);
  socket.destroy();
}
