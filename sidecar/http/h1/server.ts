import type { Duplex } from 'node:stream';
import type { DownstreamConnection } from '../exchange.ts';
import { ServerConnection } from './server-connection.ts';
import type { Http1ServerConnection, Http1ServerOptions } from './server-options.ts';

/** Serves HTTP/1.1 and 1.0 on a socket that belongs to the codec from now on. */
export function serveHttp1(
  socket: Duplex,
  connection: DownstreamConnection,
  options: Http1ServerOptions,
): Http1ServerConnection {
  return new ServerConnection(socket, connection, options);
}
