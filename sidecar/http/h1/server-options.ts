import type { Clock } from '@weft/policies/kit/clock';
import type { Direction, HttpLimits } from '@weft/policies/model/listener';
import type { Recorder } from '../../telemetry/record.ts';
import type { Dispatch } from '../exchange.ts';

export interface Http1ServerOptions {
  readonly limits: HttpLimits;
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly direction: Direction;
  /** Read from the socket before the codec was chosen. */
  readonly firstBytes?: Buffer;
  /** `https` where the proxy ends the application's own TLS; mesh TLS is not seen by applications. */
  readonly scheme?: 'http' | 'https';
  readonly onClose?: () => void;
}

export interface Http1ServerConnection {
  /** The next response says that it is the last, and ends the connection; an idle one stays open until then. */
  retire(): void;
  /** Closes an idle connection; one in use closes after its response. */
  drain(): void;
  destroy(): void;
}
