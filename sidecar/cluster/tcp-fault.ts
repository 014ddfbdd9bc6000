import type { Prng } from '@weft/policies/kit/prng';
import type { TcpFault } from '@weft/policies/model/fault';
import { isAmong } from '@weft/policies/model/fraction';
import type { ProxyError } from '../http/errors.ts';
import type { Recorder } from '../telemetry/record.ts';

/** What is done to one connection on purpose. */
export interface ConnectionFault {
  /** Before the upstream is connected; 0: not. */
  readonly delayMs: number;
  readonly resets: boolean;
  /** KiB a second from the client and to it; 0: as fast as it goes. */
  readonly requestRate: number;
  readonly responseRate: number;
  /** To be called once, when the connection has ended. */
  end(): void;
}

export const resetByFault: ProxyError = {
  source: 'internal',
  flag: 'FI',
  status: 0,
  retry: 'no',
  detail: 'reset by an injected fault',
};

/** Faults of connections of opaque bytes, by the cluster that they go to. */
export class TcpFaults {
  private readonly prng: Prng;
  private readonly recorder: Recorder;
  /** Connections under the faults of one configuration. */
  private readonly active = new WeakMap<TcpFault, number>();

  constructor(prng: Prng, recorder: Recorder) {
    this.prng = prng;
    this.recorder = recorder;
  }

  /** Undefined: the connection gets none. */
  draw(fault: TcpFault): ConnectionFault | undefined {
    const { prng } = this;
    const delayMs = fault.delay !== undefined && isAmong(fault.delay.share, prng) ? fault.delay.delayMs : 0;
    const resets = fault.reset !== undefined && isAmong(fault.reset.share, prng);
    const rateOf = (rate: TcpFault['requestRate']): number =>
      rate !== undefined && isAmong(rate.share, prng) ? rate.kibPerSecond : 0;
    const requestRate = rateOf(fault.requestRate);
    const responseRate = rateOf(fault.responseRate);
    if (delayMs === 0 && !resets && requestRate + responseRate === 0) return undefined;
    const active = this.active.get(fault) ?? 0;
    if (fault.activeMax !== undefined && active >= fault.activeMax) {
      this.recorder.count('fault.overflow');
      return undefined;
    }
    this.active.set(fault, active + 1);
    if (delayMs > 0) this.recorder.count('fault.delay');
    if (resets) this.recorder.count('fault.reset');
    if (requestRate + responseRate > 0) this.recorder.count('fault.bandwidth');
    let ended = false;
    const end = (): void => {
      if (ended) return;
      ended = true;
      this.active.set(fault, (this.active.get(fault) ?? 1) - 1);
    };
    return { delayMs, resets, requestRate, responseRate, end };
  }
}
