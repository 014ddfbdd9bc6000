import type { QueueSettings } from '@weft/policies/model/overload';
import { Flow } from './flow.ts';
import type { Ticket } from './ticket.ts';

/** Callers of a class with a queue of their own; all further ones share one. */
const FLOWS_MAX = 512;
const OTHERS = '';

export type ShedReason = 'full' | 'wait' | 'overload';

/** What happened to the requests of one class. */
interface ClassCounts {
  admitted: number;
  queued: number;
  /** Of those that waited and were admitted then. */
  waitedMs: number;
  readonly shed: { [Reason in ShedReason]: number };
}

/**
 * What waits of one class. Each caller has a queue of its own, and their turns go round: one who sends ten times as much
 * waits ten times as long, and the others do not.
 */
export class ClassQueue {
  readonly name: string;
  weight: number;
  length = 0;
  /** Weighted service that the class has had; who has had least is next. */
  pass = 0;
  readonly counts: ClassCounts = { admitted: 0, queued: 0, waitedMs: 0, shed: { full: 0, wait: 0, overload: 0 } };
  private readonly onFlowsMax: () => void;
  private readonly flows = new Map<string, Flow>();
  /** Whose turn it is, first; all of them have requests. */
  private readonly turns = new Set<Flow>();

  constructor(name: string, weight: number, onFlowsMax: () => void) {
    this.name = name;
    this.weight = weight;
    this.onFlowsMax = onFlowsMax;
  }

  push(ticket: Ticket, caller: string, nowMs: number): void {
    let flow = this.flows.get(caller);
    if (flow === undefined) {
      if (this.flows.size >= FLOWS_MAX) this.onFlowsMax();
      const key = this.flows.size >= FLOWS_MAX ? OTHERS : caller;
      flow = this.flows.get(key);
      if (flow === undefined) {
        flow = new Flow(key, nowMs);
        this.flows.set(key, flow);
        this.turns.add(flow);
      }
    }
    flow.add(ticket);
    ticket.flow = flow;
    this.length++;
  }

  /** The next one that may go; undefined: none waits. */
  pop(): Ticket | undefined {
    const flow: Flow | undefined = this.turns.values().next().value;
    const ticket = flow?.oldest();
    if (flow === undefined || ticket === undefined) return undefined;
    this.remove(ticket);
    if (flow.length > 0) {
      this.turns.delete(flow);
      this.turns.add(flow);
    }
    return ticket;
  }

  remove(ticket: Ticket): void {
    const { flow } = ticket;
    if (flow === undefined) return;
    ticket.flow = undefined;
    flow.delete(ticket);
    this.length--;
    if (flow.length > 0) return;
    this.flows.delete(flow.key);
    this.turns.delete(flow);
  }

  /** Of the caller with the most, the one that has waited longest. */
  oldestOfLongest(): Ticket | undefined {
    let longest: Flow | undefined;
    for (const flow of this.turns) if (longest === undefined || flow.length > longest.length) longest = flow;
    return longest?.oldest();
  }

  /**
   * Calls with those that have waited too long. A queue that has stood for a whole interval is no burst, and then nobody
   * waits longer than the target: who gets in is answered soon, and who does not knows it soon (after CoDel, RFC 8289).
   * A class that weighs more than the lightest waits as many times longer: the others give way before it does.
   */
  expire(
    queue: QueueSettings,
    lightest: number,
    nowMs: number,
    shed: (ticket: Ticket, reason: ShedReason) => void,
  ): void {
    const targetMs = queue.targetMs * Math.max(1, this.weight / lightest);
    for (const flow of this.turns) {
      const overloaded = nowMs - flow.sinceMs > queue.intervalMs;
      const waitMsMax = overloaded ? Math.min(targetMs, queue.waitMsMax) : queue.waitMsMax;
      for (let ticket = flow.oldest(); ticket !== undefined; ticket = flow.oldest()) {
        if (nowMs - ticket.queuedMs < waitMsMax) break;
        this.remove(ticket);
        shed(ticket, overloaded ? 'overload' : 'wait');
      }
    }
  }
}
