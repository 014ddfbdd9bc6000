/** HTTP/2 as one side of a connection speaks it (RFC 9113 section 6.5.2), beside the number of streams. */
export interface Http2Options {
  /** What a peer may send on one stream, and on the whole connection, before it is read. */
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** Of HPACK's dynamic table, each way. */
  readonly headerTableBytes: number;
  /** Of a server: extended CONNECT, by which upgrades are carried (RFC 8441); between sidecars always. */
  readonly connectProtocol: boolean;
  /** A PING when so long nothing was received, and how long its answer is waited for; undefined: none. */
  readonly keepAlive: Http2KeepAlive | undefined;
}

interface Http2KeepAlive {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export const defaultHttp2Options: Http2Options = {
  streamWindowBytes: 65_536,
  connectionWindowBytes: 1_048_576,
  headerTableBytes: 4_096,
  connectProtocol: true,
  keepAlive: undefined,
};
