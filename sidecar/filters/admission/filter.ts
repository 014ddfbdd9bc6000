import type { Admission, GradientSettings } from '@weft/policies/model/overload';
import type { ResponseHead } from '../../http/exchange.ts';
import type { RequestContext } from '../context.ts';
import { HELD, type HeldRequest, type RequestFilter, type Verdict } from '../filter.ts';
import { callerOf, matchTest, type Test } from '../subject.ts';
import type { Admissions } from './admissions.ts';
import type { ClassQueue } from './class-queue.ts';
import type { AdmissionController } from './controller.ts';
import { refusal } from './refusal.ts';
import { Ticket } from './ticket.ts';

interface CompiledClass {
  readonly matches: Test | undefined;
  readonly priority: ClassQueue;
}

const SERVICE_UNAVAILABLE = 503;

/** Lets requests through to the application as it can take them. */
export class AdmissionFilter implements RequestFilter {
  private readonly controller: AdmissionController;
  private readonly classes: readonly CompiledClass[];
  private readonly last: ClassQueue;
  private readonly status: number;

  private constructor(controller: AdmissionController, admission: Admission, status: number) {
    this.controller = controller;
    this.classes = admission.classes.map((one) => ({
      matches: matchTest(one.matches),
      priority: controller.classOf(one),
    }));
    this.last = this.classes.at(-1)?.priority ?? controller.classOf({ name: 'default', matches: [], weight: 1 });
    this.status = status;
  }

  /** Undefined: nothing says how many may be under way. */
  static create(
    admissions: Admissions,
    admission: Admission,
    gradient: GradientSettings | undefined,
  ): AdmissionFilter | undefined {
    const controller = admissions.controllerOf(admission, gradient);
    return controller && new AdmissionFilter(controller, admission, gradient?.status ?? SERVICE_UNAVAILABLE);
  }

  onRequest(context: RequestContext, request: HeldRequest): Verdict {
    const ticket = new Ticket(context, request, this.classOf(context));
    context.ticket = ticket;
    switch (this.controller.enter(ticket, callerOf(context))) {
      case 'admitted':
        return undefined;
      case 'queued':
        return HELD;
      case 'shed':
        return refusal(context, 'full', this.status);
    }
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    const { ticket } = context;
    if (ticket === undefined) return;
    const { head: request } = context;
    const tunnel = request.protocol !== undefined && (head.status === 101 || (head.status >= 200 && head.status < 300));
    this.controller.onHead(ticket, head.status < 500, tunnel);
  }

  onEnd({ ticket }: RequestContext): void {
    if (ticket !== undefined) this.controller.onEnd(ticket);
  }

  private classOf(context: RequestContext): ClassQueue {
    for (const { matches, priority } of this.classes) if (matches?.(context) !== false) return priority;
    return this.last;
  }
}
