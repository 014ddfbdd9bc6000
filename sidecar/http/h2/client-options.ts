import type { Clock } from '@weft/policies/kit/clock';
import type { Http2Options } from '@weft/policies/model/http2-options';
import type { Recorder } from '../../telemetry/record.ts';

export interface Http2ClientOptions {
  readonly clock: Clock;
  /** Counts malformed responses, errors of the peer and lost connections. */
  readonly recorder?: Pick<Recorder, 'count'>;
  /** The peer is a sidecar (ALPN `weft-h2`): casing of names and HTTP version of the client go along. */
  readonly mesh?: boolean;
  readonly headBytesMax?: number;
  readonly headersCountMax?: number;
  /** Streams at a time, whatever the peer allows. */
  readonly concurrentStreamsMax?: number;
  /** Absent: Weft's own. */
  readonly http2?: Http2Options;
  /** Silence, with streams open, after which the peer is asked whether it is still there. 0: never. */
  readonly pingIntervalMs?: number;
  /** How long the answer is waited for. */
  readonly pingTimeoutMs?: number;
  /** Until the peer's SETTINGS, and its acknowledgement of ours. */
  readonly settingsTimeoutMs?: number;
}
