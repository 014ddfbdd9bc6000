import type { ProxyError } from '../../http/errors.ts';
import type { OverloadState } from '../../overload/state.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestFilter } from '../filter.ts';

const shed: ProxyError = {
  source: 'internal',
  flag: 'OM',
  status: 503,
  retry: 'no',
  detail: 'the proxy is short of memory or descriptors',
};

/** Turns new requests away while the process is close to a limit of its own. */
export class OverloadFilter implements RequestFilter {
  private readonly state: OverloadState;
  private readonly recorder: Recorder;

  constructor(state: OverloadState, recorder: Recorder) {
    this.state = state;
    this.recorder = recorder;
  }

  onRequest(): ProxyError | undefined {
    if (!this.state.shouldShed) return undefined;
    this.recorder.count('overload.request_shed');
    return shed;
  }
}
