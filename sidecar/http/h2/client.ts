import type { UpstreamTransport } from '../../net/connection.ts';
import type { UpstreamConnection } from '../exchange.ts';
import { ClientConnection } from './client-connection.ts';
import type { Http2ClientOptions } from './client-options.ts';

/** Speaks HTTP/2 to an upstream on a transport that belongs to the codec from now on. */
export function connectHttp2(transport: UpstreamTransport, options: Http2ClientOptions): UpstreamConnection {
  return new ClientConnection(transport.socket, options);
}
