import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { PriorityClass, QueueSettings } from '@weft/policies/model/overload';
import { ClassQueue, type ShedReason } from './class-queue.ts';
import type { Limit } from './gradient.ts';
import type { Ticket } from './ticket.ts';

/**
 * A response that has gone on for so long is a stream: it keeps its connection busy and not, as far as anybody can know,
 * the application. A request of which nothing has come back keeps its place.
 */
const STREAM_AFTER_MS = 1_000;
/** Classes that are remembered; beyond them the one that was configured longest ago is forgotten. */
const CLASSES_MAX = 64;
const TICK_MS_MIN = 1;
const TICK_MS_MAX = 50;

interface ControllerDeps {
  readonly clock: Clock;
  readonly count: (event: string) => void;
}

/** What becomes of a request that wants a place. */
export type Entry = 'admitted' | 'queued' | 'shed';

/**
 * The places of one application. A request gets one at once, waits for one in the queue of its class, or is shed. Among
 * classes the one goes first that has had least service for its weight, so that each gets its share and none starves.
 */
export class AdmissionController {
  limit: Limit;
  running = 0;
  private queue: QueueSettings;
  private waiting = 0;
  private admitting = false;
  /** Service of the class that went last; who comes anew begins there. */
  private pass = 0;
  private readonly deps: ControllerDeps;
  private readonly byName = new Map<string, ClassQueue>();
  /** In which somebody waits, also those whose name is forgotten: listeners that are drained still have them. */
  private readonly standing = new Set<ClassQueue>();
  /** Running, with a response that has begun, the oldest first. */
  private readonly answered = new Set<Ticket>();
  private cancelTick: Cancel | undefined = undefined;
  private readonly onExpired: (ticket: Ticket, reason: ShedReason) => void;
  private readonly shedNow: (ticket: Ticket, reason: ShedReason) => void;

  /** `shed` answers a request that had been held. */
  constructor(
    limit: Limit,
    queue: QueueSettings,
    deps: ControllerDeps,
    shed: (ticket: Ticket, reason: ShedReason) => void,
  ) {
    this.limit = limit;
    this.queue = queue;
    this.deps = deps;
    this.shedNow = shed;
    this.onExpired = (ticket, reason) => {
      this.waiting--;
      this.refuse(ticket, reason);
    };
  }

  get classes(): IterableIterator<ClassQueue> {
    return this.byName.values();
  }

  get queueLength(): number {
    return this.waiting;
  }

  /** What is under way and what waits goes on; who waits in a class that is gone is served with the weight it had. */
  configure(limit: Limit, queue: QueueSettings): void {
    this.limit = limit;
    this.queue = queue;
  }

  /** One for each name. */
  classOf({ name, weight }: PriorityClass): ClassQueue {
    let found = this.byName.get(name);
    if (found === undefined) {
      if (this.byName.size >= CLASSES_MAX) this.dropOldest();
      found = new ClassQueue(name, weight, () => this.deps.count('admission.flows_max'));
    } else {
      // A Map keeps the order in which they came.
      this.byName.delete(name);
    }
    this.byName.set(name, found);
    found.weight = weight;
    return found;
  }

  private dropOldest(): void {
    const oldest = this.byName.keys().next();
    if (oldest.done !== true) this.byName.delete(oldest.value);
    this.deps.count('admission.classes_max');
  }

  enter(ticket: Ticket, caller: string): Entry {
    const nowMs = this.deps.clock.nowMs();
    this.limit.observe(this.running, nowMs);
    if (this.running >= this.limit.current) this.leaveStreams(nowMs);
    if (this.waiting === 0 && this.running < this.limit.current) {
      this.start(ticket, nowMs);
      return 'admitted';
    }
    if (this.queue.lengthMax === 0) {
      ticket.priority.counts.shed.full++;
      return 'shed';
    }
    this.enqueue(ticket, caller, nowMs);
    if (this.waiting > this.queue.lengthMax && this.makeRoom(ticket)) return 'shed';
    this.tick();
    return 'queued';
  }

  /** The head of its response has come. */
  onHead(ticket: Ticket, good: boolean, tunnel: boolean): void {
    if (ticket.state !== 'running' || ticket.headMs > 0) return;
    const nowMs = this.deps.clock.nowMs();
    ticket.headMs = nowMs;
    // An error may be told faster than an answer, which says nothing of how long answers take.
    if (good) this.limit.sample(ticket.startMs, nowMs);
    if (tunnel) this.leave(ticket, nowMs);
    else this.answered.add(ticket);
  }

  /** The exchange is over. */
  onEnd(ticket: Ticket): void {
    if (ticket.state === 'waiting') {
      ticket.priority.remove(ticket);
      this.waiting--;
      ticket.state = 'over';
      return;
    }
    if (ticket.state !== 'running') return;
    const nowMs = this.deps.clock.nowMs();
    // Given up before an answer came: it would have taken longer than this.
    if (ticket.headMs === 0 && nowMs - ticket.startMs > this.limit.usualMs) this.limit.sample(ticket.startMs, nowMs);
    this.leave(ticket, nowMs);
  }

  close(): void {
    this.cancelTick?.();
    this.cancelTick = undefined;
  }

  private start(ticket: Ticket, nowMs: number): void {
    ticket.state = 'running';
    ticket.startMs = nowMs;
    this.running++;
    ticket.priority.counts.admitted++;
  }

  private leave(ticket: Ticket, nowMs: number): void {
    ticket.state = 'over';
    this.answered.delete(ticket);
    this.running--;
    this.admitWaiting(nowMs);
  }

  private leaveStreams(nowMs: number): void {
    for (const ticket of this.answered) {
      if (nowMs - ticket.headMs < STREAM_AFTER_MS) return;
      this.answered.delete(ticket);
      ticket.state = 'over';
      this.running--;
    }
  }

  private enqueue(ticket: Ticket, caller: string, nowMs: number): void {
    const { priority } = ticket;
    ticket.state = 'waiting';
    ticket.queuedMs = nowMs;
    // Who was away has saved nothing up.
    if (priority.length === 0) priority.pass = Math.max(priority.pass, this.pass);
    priority.push(ticket, caller, nowMs);
    this.standing.add(priority);
    priority.counts.queued++;
    this.waiting++;
  }

  /** The class that is farthest over its share gives up its oldest; true: that is the one that came just now. */
  private makeRoom(newest: Ticket): boolean {
    let largest: ClassQueue | undefined;
    for (const one of this.standing) {
      if (one.length === 0) continue;
      if (largest === undefined || one.length / one.weight > largest.length / largest.weight) largest = one;
    }
    const victim = largest?.oldestOfLongest();
    if (victim === undefined || largest === undefined) return false;
    largest.remove(victim);
    this.waiting--;
    if (victim !== newest) {
      this.refuse(victim, 'full');
      return false;
    }
    victim.state = 'over';
    largest.counts.shed.full++;
    return true;
  }

  private refuse(ticket: Ticket, reason: ShedReason): void {
    ticket.state = 'over';
    ticket.priority.counts.shed[reason]++;
    this.shedNow(ticket, reason);
  }

  private admitWaiting(nowMs: number): void {
    this.limit.observe(this.running, nowMs);
    // One that ends as soon as it goes on brings us here again.
    if (this.admitting) return;
    this.admitting = true;
    while (this.waiting > 0 && this.running < this.limit.current) {
      const ticket = this.next()?.pop();
      if (ticket === undefined) break;
      this.waiting--;
      this.start(ticket, nowMs);
      ticket.priority.counts.waitedMs += nowMs - ticket.queuedMs;
      ticket.request.resume();
    }
    this.admitting = false;
  }

  private next(): ClassQueue | undefined {
    let first: ClassQueue | undefined;
    for (const one of this.standing) {
      if (one.length > 0 && (first === undefined || one.pass < first.pass)) first = one;
    }
    if (first === undefined) return undefined;
    this.pass = first.pass;
    first.pass += 1 / first.weight;
    return first;
  }

  /** One timer while anybody waits. */
  private tick(): void {
    if (this.cancelTick !== undefined) return;
    const delayMs = Math.min(TICK_MS_MAX, Math.max(TICK_MS_MIN, this.queue.targetMs / 2));
    this.cancelTick = this.deps.clock.after(delayMs, () => {
      this.cancelTick = undefined;
      const nowMs = this.deps.clock.nowMs();
      this.leaveStreams(nowMs);
      this.admitWaiting(nowMs);
      let lightest = Number.POSITIVE_INFINITY;
      for (const one of this.byName.values()) lightest = Math.min(lightest, one.weight);
      for (const one of this.standing) {
        if (one.length > 0) one.expire(this.queue, lightest, nowMs, this.onExpired);
        if (one.length === 0) this.standing.delete(one);
      }
      if (this.waiting > 0) this.tick();
    });
  }
}
