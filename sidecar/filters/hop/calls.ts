import type { HopLimits } from './header.ts';

/** What an application may be working on at a time; two keys each. */
const CALLS_MAX = 16_384;
/** How long work of a caller that has given up is known as such, from its deadline on. */
const LINGER_MS = 10_000;
/** From when it was given up, whatever its deadline: callers name times as long as they like. */
const LINGER_MS_MAX = 60_000;

/** Requests with the same key: their widest limits, since nobody can tell for which of them the application calls. */
class Call {
  deadlineMs: number;
  attempt: number;
  retried: boolean;
  users = 1;
  /** When it may be forgotten, once nobody uses it. */
  untilMs = 0;
  /** It is among those that will be looked at then. */
  lingers = false;

  constructor({ deadlineMs, attempt, retried }: HopLimits) {
    this.deadlineMs = deadlineMs;
    this.attempt = attempt;
    this.retried = retried;
  }

  join({ deadlineMs, attempt, retried }: HopLimits): void {
    const fresh = this.users === 0;
    this.deadlineMs = fresh ? deadlineMs : Math.max(this.deadlineMs, deadlineMs);
    this.attempt = fresh ? attempt : Math.max(this.attempt, attempt);
    this.retried = fresh ? retried : this.retried || retried;
    this.users++;
  }
}

/** Of a call that was given up: when to see whether it can be forgotten. */
interface Look {
  readonly map: Map<string, Call>;
  readonly key: string;
  readonly call: Call;
  readonly atMs: number;
}

/** How a request of the application is known to belong to one that it is answering. */
interface CallKeys {
  readonly requestId: string;
  readonly traceId: string;
}

/**
 * Limited requests that applications of this sidecar are answering. An application calls others by requests of its own,
 * and hands on what it knows: the trace, or the request id.
 */
export class ActiveCalls {
  private readonly byRequest = new Map<string, Call>();
  private readonly byTrace = new Map<string, Call>();
  private readonly lingering: Look[] = [];

  get size(): number {
    return this.byRequest.size + this.byTrace.size;
  }

  /** Calls that were given up, and that nobody has looked at since. */
  get remembered(): number {
    return this.lingering.length;
  }

  /** False: too many are known, and the calls for this one will be unlimited. */
  enter({ requestId, traceId }: CallKeys, limits: HopLimits, nowMs: number): boolean {
    this.forget(nowMs);
    if (this.size >= CALLS_MAX || this.lingering.length >= CALLS_MAX) return false;
    join(this.byRequest, requestId, limits);
    join(this.byTrace, traceId, limits);
    return true;
  }

  /** A request without limits begins: what is known of its keys holds no more. */
  lift({ requestId, traceId }: CallKeys): void {
    lift(this.byRequest, requestId);
    lift(this.byTrace, traceId);
  }

  /** `answered`: by the application; otherwise it may still be working for nobody. */
  leave({ requestId, traceId }: CallKeys, answered: boolean, nowMs: number): void {
    this.leaveOne(this.byRequest, requestId, answered, nowMs);
    this.leaveOne(this.byTrace, traceId, answered, nowMs);
  }

  find({ requestId, traceId }: CallKeys): HopLimits | undefined {
    return this.byRequest.get(requestId) ?? this.byTrace.get(traceId);
  }

  private leaveOne(map: Map<string, Call>, key: string, answered: boolean, nowMs: number): void {
    const call = map.get(key);
    if (call === undefined || call.users === 0) return;
    call.users--;
    if (call.users > 0) return;
    if (answered || call.deadlineMs === Number.POSITIVE_INFINITY) {
      map.delete(key);
      return;
    }
    call.untilMs = Math.min(Math.max(nowMs, call.deadlineMs) + LINGER_MS, nowMs + LINGER_MS_MAX);
    if (call.lingers) return;
    call.lingers = true;
    this.lingering.push({ map, key, call, atMs: call.untilMs });
  }

  /** In about the order in which they were given up; what was taken up again meanwhile is looked at once more. */
  private forget(nowMs: number): void {
    const { lingering } = this;
    let done = 0;
    for (let look = lingering[0]; look !== undefined && look.atMs <= nowMs; look = lingering[done]) {
      done++;
      const { map, key, call } = look;
      if (map.get(key) !== call || call.users > 0) call.lingers = false;
      else if (call.untilMs > nowMs) lingering.push({ map, key, call, atMs: call.untilMs });
      else map.delete(key);
    }
    if (done > 0) lingering.splice(0, done);
  }
}

function join(map: Map<string, Call>, key: string, limits: HopLimits): void {
  if (key === '') return;
  const call = map.get(key);
  if (call === undefined) map.set(key, new Call(limits));
  else call.join(limits);
}

function lift(map: Map<string, Call>, key: string): void {
  const call = map.get(key);
  if (call === undefined) return;
  if (call.users === 0) map.delete(key);
  else call.deadlineMs = Number.POSITIVE_INFINITY;
}
