import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { HttpFault } from '@weft/policies/model/fault';
import { type HeaderMutation, noMutation, type Route } from '@weft/policies/model/route';
import type { CompiledRoute } from '../../route/table.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import { HELD, type HeldRequest, type LocalReply, type RequestFilter, type StreamReset } from '../filter.ts';
import { routeSetting } from '../route-setting.ts';
import { type AbortStatus, FaultSettings } from './settings.ts';
import { ThrottledExchange } from './throttled.ts';

interface FaultDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly recorder: Recorder;
}

/** What Envoy answers with. */
const ABORTED = 'fault filter abort';

const cutOff: StreamReset = {
  kind: 'reset',
  error: { source: 'internal', flag: 'FI', status: 503, retry: 'no', detail: 'reset by an injected fault' },
};

/** Faults on purpose: requests wait, are refused, are reset, or go slowly, as the route or the filter itself says. */
export class FaultFilter implements RequestFilter {
  private readonly name: string;
  private readonly own: FaultSettings | undefined;
  private readonly deps: FaultDeps;
  private readonly settings = new WeakMap<HttpFault, FaultSettings>();
  /** Requests under a fault, with the end of their delay. */
  private readonly active = new Map<RequestContext, Cancel | undefined>();

  constructor(name: string, fault: HttpFault, deps: FaultDeps) {
    this.name = name;
    const own = new FaultSettings(fault);
    this.own = own.isEmpty ? undefined : own;
    this.deps = deps;
  }

  onRoute(context: RequestContext, found: CompiledRoute, request: HeldRequest) {
    const settings = this.settingsFor(found.route);
    if (settings === undefined || !settings.matches(context.head)) return undefined;
    this.throttle(context, settings);
    const { clock, prng, recorder } = this.deps;
    const delayMs = settings.delayMs(context.head, prng);
    if (delayMs === 0 || !this.begin(context, settings)) return this.end(context, settings);
    recorder.count('fault.delay');
    context.flag = 'DI';
    const cancel = clock.after(delayMs, () => {
      this.active.set(context, undefined);
      const verdict = this.end(context, settings);
      if (verdict === undefined) request.resume();
      else request.refuse(verdict);
    });
    this.active.set(context, cancel);
    return HELD;
  }

  onEnd(context: RequestContext): void {
    if (this.active.size === 0) return;
    this.active.get(context)?.();
    this.active.delete(context);
  }

  private settingsFor(route: Route): FaultSettings | undefined {
    const fault = routeSetting(route, 'fault', this.name)?.fault;
    if (fault === undefined) return this.own;
    let settings = this.settings.get(fault);
    if (settings === undefined) {
      settings = new FaultSettings(fault);
      this.settings.set(fault, settings);
    }
    return settings;
  }

  /** A request counts once, however many faults it gets. */
  private begin(context: RequestContext, { fault: { activeMax } }: FaultSettings): boolean {
    if (this.active.has(context)) return true;
    if (activeMax !== undefined && this.active.size >= activeMax) {
      this.deps.recorder.count('fault.overflow');
      return false;
    }
    this.active.set(context, undefined);
    return true;
  }

  private throttle(context: RequestContext, settings: FaultSettings): void {
    const { clock, prng, recorder } = this.deps;
    const requestRate = settings.requestRate(prng);
    const responseRate = settings.responseRate(context.head, prng);
    if (requestRate + responseRate === 0 || !this.begin(context, settings)) return;
    recorder.count('fault.bandwidth');
    context.exchange = new ThrottledExchange(context.exchange, requestRate, responseRate, clock);
  }

  private end(context: RequestContext, settings: FaultSettings): LocalReply | StreamReset | undefined {
    const { prng, recorder } = this.deps;
    const status = settings.abort(context.head, prng);
    if (status !== undefined && this.begin(context, settings)) {
      recorder.count('fault.abort');
      return abortOf(status, context);
    }
    if (!settings.resets(prng) || !this.begin(context, settings)) return undefined;
    recorder.count('fault.reset');
    return cutOff;
  }
}

/** A status of gRPC comes with HTTP's 200, also where it was no call that asked (as Envoy). */
function abortOf(status: AbortStatus, context: RequestContext): LocalReply {
  const answer = { kind: 'reply', flag: 'FI', detail: 'aborted by an injected fault' } as const;
  if (status.kind === 'http') return { ...answer, status: status.code, body: ABORTED, headers: noMutation };
  if (!context.grpc) return { ...answer, status: 200, body: ABORTED, headers: noMutation };
  context.grpcStatus = status.code;
  const headers: HeaderMutation = {
    ...noMutation,
    set: [
      { name: 'content-type', value: 'application/grpc' },
      { name: 'grpc-status', value: String(status.code) },
      { name: 'grpc-message', value: ABORTED },
    ],
  };
  return { ...answer, status: 200, body: '', headers };
}
