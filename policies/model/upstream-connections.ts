import { defaultHttp2Options, type Http2Options } from './http2-options.ts';

/** How connections to the endpoints of a cluster are kept. */
export interface UpstreamConnections {
  /** 0: as old as they like. Connections end up to a tenth earlier, so that not all of them end at once. */
  readonly durationMsMax: number;
  /** Of one attempt, from its start to the end of its response; 0: none. */
  readonly streamDurationMsMax: number;
  /** Exchanges that share a connection, whatever the endpoint allows. */
  readonly concurrentStreamsMax: number;
  readonly http2: Http2Options;
  /** Of TCP; undefined: none. */
  readonly tcpKeepAlive: TcpKeepAlive | undefined;
}

export interface TcpKeepAlive {
  readonly probesMax: number;
  readonly idleMs: number;
  readonly intervalMs: number;
}

export const defaultUpstreamConnections: UpstreamConnections = {
  durationMsMax: 0,
  streamDurationMsMax: 0,
  concurrentStreamsMax: 1_024,
  http2: { ...defaultHttp2Options, connectProtocol: false },
  tcpKeepAlive: undefined,
};
