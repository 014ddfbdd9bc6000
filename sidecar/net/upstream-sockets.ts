import type { Duplex } from 'node:stream';
import type { UpstreamConnection } from '../http/exchange.ts';

const sockets = new WeakMap<UpstreamConnection, Duplex>();

/** Which socket a connection is on, for logs that say something of it. */
export const rememberSocket = (connection: UpstreamConnection, socket: Duplex): unknown =>
  sockets.set(connection, socket);

export const socketOf = (connection: UpstreamConnection): Duplex | undefined => sockets.get(connection);
