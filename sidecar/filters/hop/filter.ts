import type { Clock } from '@weft/policies/kit/clock';
import type { Direction } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import type { ActiveCalls } from './calls.ts';
import { HOP_FIELD, type HopLimits, parseHop } from './header.ts';

/** Nobody waits for the answer any more. */
export const callerOutOfTime: ProxyError = {
  source: 'downstream',
  flag: 'DT',
  status: 504,
  retry: 'no',
  detail: 'the time that the caller had for this has passed',
};

interface HopDeps {
  readonly direction: Direction;
  readonly calls: ActiveCalls;
  readonly recorder: Recorder;
  readonly clock: Clock;
}

/**
 * Carries deadlines and who repeats a request across an application. Inbound, what the caller's sidecar says is kept
 * for as long as the application answers; outbound, a request that the application makes meanwhile is found to belong
 * to it. Only sidecars may say it: of others, and of the application, the field is dropped.
 */
export class HopFilter implements RequestFilter {
  private readonly deps: HopDeps;
  private readonly inbound: boolean;

  constructor(deps: HopDeps) {
    this.deps = deps;
    this.inbound = deps.direction === 'inbound';
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const { headers, protocol } = context.head;
    const said = headers.get(HOP_FIELD);
    if (said !== undefined) headers.remove(HOP_FIELD);
    // A tunnel is no work for one answer.
    if (protocol !== undefined) return undefined;
    if (!this.inbound) return this.heed(context);
    const fromMesh = context.connection.peer?.spiffeId !== undefined;
    this.begin(context, this.limitsOf(context, fromMesh ? said : undefined));
    return undefined;
  }

  onEnd(context: RequestContext): void {
    if (!this.inbound || context.hop === undefined) return;
    const answered = !context.localReply && context.flag === '';
    this.deps.calls.leave(context, answered, this.deps.clock.nowMs());
  }

  private limitsOf({ call, startMs }: RequestContext, said: string | undefined): HopLimits | undefined {
    const limits = said === undefined ? undefined : parseHop(said, startMs);
    if (said !== undefined && limits === undefined) this.deps.recorder.count('deadline.malformed');
    if (call?.hasDeadline !== true) return limits;
    return {
      deadlineMs: Math.min(call.deadlineMs, limits?.deadlineMs ?? Number.POSITIVE_INFINITY),
      attempt: limits?.attempt ?? 1,
      retried: limits?.retried ?? false,
    };
  }

  private begin(context: RequestContext, limits: HopLimits | undefined): void {
    const { calls, recorder } = this.deps;
    if (limits === undefined) {
      if (calls.size > 0) calls.lift(context);
      return;
    }
    if (calls.enter(context, limits, context.startMs)) context.hop = limits;
    else recorder.count('deadline.table-full');
  }

  /** Work that began too long ago is not carried on by others. */
  private heed(context: RequestContext): ProxyError | undefined {
    const { calls, recorder, clock } = this.deps;
    if (calls.size === 0) return undefined;
    const call = calls.find(context);
    if (call === undefined) return undefined;
    context.hop = { deadlineMs: call.deadlineMs, attempt: call.attempt, retried: call.retried };
    if (call.deadlineMs > clock.nowMs()) return undefined;
    recorder.count('deadline.refused');
    return callerOutOfTime;
  }
}
