import type { Duplex } from 'node:stream';
import type { DownstreamConnection } from '../exchange.ts';
import { ServerConnection } from './server-connection.ts';
import type { Http2ServerConnection, Http2ServerOptions } from './server-options.ts';

/** Serves HTTP/2, known beforehand (RFC 9113 section 3.3) or by ALPN, on a socket that belongs to the codec from now on. */
export function serveHttp2(
  socket: Duplex,
  connection: DownstreamConnection,
  options: Http2ServerOptions,
): Http2ServerConnection {
  return new ServerConnection(socket, connection, options);
}
