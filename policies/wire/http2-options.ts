import type { MessageInitShape } from '@bufbuild/protobuf';
import { defaultHttp2Options, type Http2Options } from '../model/http2-options.ts';
import type { At } from './decoding.ts';
import type { Http2ProtocolOptions, Http2ProtocolOptionsSchema } from './gen/envoy/config/core/v3/protocol_pb.ts';
import { decodeDuration, encodeDuration } from './values.ts';

/** RFC 9113 section 6.9.2: neither window may begin smaller, nor grow beyond 2^31-1. */
const WINDOW_BYTES_MIN = 65_535;
const INT31_MAX = 2_147_483_647;
/** Of a table that a peer fills: what each connection may cost. */
const HEADER_TABLE_BYTES_MAX = 1_048_576;

function inRange(value: number | undefined, absent: number, min: number, max: number, at: At): number {
  if (value === undefined) return absent;
  return value >= min && value <= max ? value : at.fail(`has to be from ${min} to ${max}`, absent);
}

/** Absent values are Weft's own, which are smaller than Envoy's. */
export function decodeHttp2Options(message: Http2ProtocolOptions | undefined, at: At): Http2Options {
  const own = defaultHttp2Options;
  const window = (value: number | undefined, absent: number, field: string): number =>
    inRange(value, absent, WINDOW_BYTES_MIN, INT31_MAX, at.field(field));
  return {
    streamWindowBytes: window(message?.initialStreamWindowSize, own.streamWindowBytes, 'initial_stream_window_size'),
    connectionWindowBytes: window(
      message?.initialConnectionWindowSize,
      own.connectionWindowBytes,
      'initial_connection_window_size',
    ),
    headerTableBytes: inRange(
      message?.hpackTableSize,
      own.headerTableBytes,
      0,
      HEADER_TABLE_BYTES_MAX,
      at.field('hpack_table_size'),
    ),
    connectProtocol: message?.allowConnect ?? false,
    keepAlive: decodeKeepAlive(message, at.field('connection_keepalive')),
  };
}

function decodeKeepAlive(
  { connectionKeepalive }: Partial<Http2ProtocolOptions> = {},
  at: At,
): Http2Options['keepAlive'] {
  if (connectionKeepalive === undefined) return undefined;
  const { interval, timeout } = connectionKeepalive;
  // Without an interval Envoy asks only when a connection that was idle is used again, which Weft does not.
  if (interval === undefined) return at.field('interval').fail('is required by Weft', undefined);
  if (timeout === undefined) return at.field('timeout').fail('is required', undefined);
  const intervalMs = decodeDuration(interval, 0, at.field('interval'));
  const timeoutMs = decodeDuration(timeout, 0, at.field('timeout'));
  if (intervalMs < 1) at.field('interval').fail('has to be at least 1 ms', undefined);
  if (timeoutMs < 1) at.field('timeout').fail('has to be at least 1 ms', undefined);
  return { intervalMs, timeoutMs };
}

export const decodeStreamsMax = (message: Http2ProtocolOptions | undefined, absent: number, at: At): number =>
  inRange(message?.maxConcurrentStreams, absent, 1, INT31_MAX, at.field('max_concurrent_streams'));

/** What is Weft's own is left to the reader: another proxy may have better for itself. */
export function encodeHttp2Options(
  options: Http2Options,
  concurrentStreamsMax: number,
): MessageInitShape<typeof Http2ProtocolOptionsSchema> {
  const own = defaultHttp2Options;
  const { streamWindowBytes, connectionWindowBytes, headerTableBytes, keepAlive } = options;
  return {
    maxConcurrentStreams: concurrentStreamsMax,
    ...(streamWindowBytes === own.streamWindowBytes ? {} : { initialStreamWindowSize: streamWindowBytes }),
    ...(connectionWindowBytes === own.connectionWindowBytes
      ? {}
      : { initialConnectionWindowSize: connectionWindowBytes }),
    ...(headerTableBytes === own.headerTableBytes ? {} : { hpackTableSize: headerTableBytes }),
    allowConnect: options.connectProtocol,
    ...(keepAlive === undefined
      ? {}
      : {
          connectionKeepalive: {
            interval: encodeDuration(keepAlive.intervalMs),
            timeout: encodeDuration(keepAlive.timeoutMs),
          },
        }),
  };
}
