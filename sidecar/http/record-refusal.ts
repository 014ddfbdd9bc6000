import type { Clock } from '@weft/policies/kit/clock';
import type { Direction } from '@weft/policies/model/listener';
import { connectionRecord } from '../net/connection-record.ts';
import type { Recorder } from '../telemetry/record.ts';
import type { ProxyError } from './errors.ts';
import type { DownstreamConnection } from './exchange.ts';

interface RecordPorts {
  readonly recorder: Recorder;
  readonly direction: Direction;
  readonly clock: Clock;
}

/** Of what no dispatcher sees: nobody else tells of it. */
export function recordRefusal(
  { recorder, direction, clock }: RecordPorts,
  connection: DownstreamConnection,
  error: ProxyError,
  bytesReceived: number,
  bytesSent: number,
): void {
  const record = connectionRecord(direction, 'http', connection, clock.unixMs());
  const { status, flag, detail } = error;
  recorder.record(Object.assign(record, { status, flag, detail, bytesReceived, bytesSent }));
}
