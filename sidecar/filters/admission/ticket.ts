import type { RequestContext } from '../context.ts';
import type { HeldRequest } from '../filter.ts';
import type { ClassQueue } from './class-queue.ts';
import type { Flow } from './flow.ts';

/** One request that wants a place. `waiting` in a queue; `running` in a place; `over` without either. */
export class Ticket {
  readonly context: RequestContext;
  readonly request: HeldRequest;
  readonly priority: ClassQueue;
  state: 'waiting' | 'running' | 'over' = 'over';
  queuedMs = 0;
  startMs = 0;
  /** When its response began; 0: it has not. */
  headMs = 0;
  /** Where it waits. */
  flow: Flow | undefined = undefined;

  constructor(context: RequestContext, request: HeldRequest, priority: ClassQueue) {
    this.context = context;
    this.request = request;
    this.priority = priority;
  }
}
