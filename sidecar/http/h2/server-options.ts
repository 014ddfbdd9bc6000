import type { Http1ServerConnection, Http1ServerOptions } from '../h1/server-options.ts';

export interface Http2ServerOptions extends Http1ServerOptions {
  /** The peer is a sidecar (ALPN `weft-h2`): casing of names and `:weft-version` as HTTP/1 clients sent them. */
  readonly mesh?: boolean;
  /** Nothing goes by `:authority`, in which clients of Unix sockets may have the path of the socket (gRPC for Java does). */
  readonly anyAuthority?: boolean;
}

/**
 * `retire` and `drain`: GOAWAY in two steps (RFC 9113 section 6.8), so that no stream that is under way is lost; the
 * connection closes when its streams have ended.
 */
export type Http2ServerConnection = Http1ServerConnection;
