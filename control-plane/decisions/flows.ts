/** Who asked for what in the last hours, as the sidecars of this replica tell it. */
import type { Clock } from '@weft/policies/kit/clock';
import type { FlowReport, PastFlow } from '@weft/policies/model/decision-report';
import type { PlaintextCaller } from '../translate/context.ts';

/** With the workload that was called, `<namespace>/<name>`, and a pod of it. */
export interface Flow extends FlowReport {
  readonly workload: string;
  readonly pod: string;
  readonly lastUnixMs: number;
  /** Beside `count`: what this replica was told later, and what counts only where none of these others is there. */
  readonly elsewhere?: readonly HeldElsewhere[];
}

export interface HeldElsewhere {
  /** Instances of other control planes. */
  readonly heldBy: readonly string[];
  readonly count: number;
}

/** Requests by the hour. */
type Hours = Map<number, number>;

interface Kept {
  readonly flow: FlowReport;
  readonly workload: string;
  pod: string;
  lastUnixMs: number;
  readonly hours: Hours;
  /** Told later, by who else has it. */
  past: Map<string, { readonly heldBy: readonly string[]; readonly hours: Hours }> | undefined;
}

const HOUR_MS = 3_600_000;
const HOURS_KEPT = 24;
const FLOWS_MAX = 50_000;
const OF_WORKLOAD_MAX = 8_192;
/** A sidecar may say anything, and what it says is kept for a day. */
const NAME_CHARS_MAX = 256;
const LONG_CHARS_MAX = 2_048;
const HOLDERS_MAX = 16;
const HOLDER_CHARS_MAX = 64;
/** Of one flow, sets of control planes that have a part of it. */
const PARTS_MAX = 16;
/** Counters of hours that were told of later, of all flows. */
const PAST_HOURS_MAX = 500_000;

/** Nothing else is in an identity, an address, a method, a host or a path; operators read these on their terminals. */
const VISIBLE = /^[\x21-\x7e]*$/;

const isMadeUp = ({ identity, ip, method, host, path, example }: FlowReport): boolean =>
  ![identity, ip, method, host, path, example].every((text) => VISIBLE.test(text));

const isTooLong = ({ identity, ip, method, host, path, example }: FlowReport): boolean =>
  Math.max(ip.length, method.length, host.length) > NAME_CHARS_MAX ||
  Math.max(identity.length, path.length, example.length) > LONG_CHARS_MAX;

const isPlaintext = ({ identity, denied }: FlowReport): boolean => identity === '' && !denied;

function sumSince(hours: Hours, from: number): number {
  let sum = 0;
  for (const [hour, requests] of hours) if (hour >= from) sum += requests;
  return sum;
}

const addTo = (hours: Hours, hour: number, count: number): void => {
  hours.set(hour, (hours.get(hour) ?? 0) + count);
};

export class Flows {
  private readonly clock: Clock;
  private readonly kept = new Map<string, Kept>();
  private readonly ofWorkload = new Map<string, number>();
  /** Of callers without an identity that were let in, by workload. */
  private readonly plaintext = new Map<string, Set<Kept>>();
  private sweptHour = 0;
  private firstHour = Number.POSITIVE_INFINITY;
  private pastHours = 0;
  /** Requests that there was no room for, here or in a sidecar. */
  lost = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(workload: string, pod: string, flow: FlowReport): void {
    const nowUnixMs = this.clock.unixMs();
    const hour = this.thisHour(nowUnixMs);
    const kept = this.keptOf(workload, pod, flow);
    if (kept === undefined) return;
    kept.lastUnixMs = nowUnixMs;
    addTo(kept.hours, hour, flow.count);
  }

  /** What was told to others before this one was there. */
  addPast(workload: string, pod: string, { flow, hour, heldBy }: PastFlow): void {
    const nowUnixMs = this.clock.unixMs();
    const current = this.thisHour(nowUnixMs);
    const known = Number.isSafeInteger(hour) && hour <= current && hour > current - HOURS_KEPT;
    if (!known || heldBy.length > HOLDERS_MAX || heldBy.some(({ length }) => length > HOLDER_CHARS_MAX)) return;
    const kept = this.keptOf(workload, pod, flow);
    if (kept === undefined) return;
    kept.lastUnixMs = Math.max(kept.lastUnixMs, Math.min(nowUnixMs, (hour + 1) * HOUR_MS));
    const hours = this.partOf(kept, heldBy);
    const isNew = hours?.has(hour) === false;
    if (hours === undefined || (isNew && this.pastHours >= PAST_HOURS_MAX)) {
      this.lost += flow.count;
      return;
    }
    if (isNew) this.pastHours++;
    addTo(hours, hour, flow.count);
    this.firstHour = Math.min(this.firstHour, hour);
  }

  /** Since a time, to the hour; undefined: of all workloads. */
  since(unixMs: number, namespace: string | undefined): Flow[] {
    const from = Math.floor(unixMs / HOUR_MS);
    const found: Flow[] = [];
    for (const { flow, workload, pod, lastUnixMs, hours, past } of this.kept.values()) {
      if (namespace !== undefined && !workload.startsWith(`${namespace}/`)) continue;
      const count = sumSince(hours, from);
      const elsewhere = [...(past?.values() ?? [])]
        .map((part) => ({ heldBy: part.heldBy, count: sumSince(part.hours, from) }))
        .filter((part) => part.count > 0);
      if (count + elsewhere.length === 0) continue;
      found.push({ ...flow, workload, pod, count, lastUnixMs, ...(elsewhere.length > 0 && { elsewhere }) });
    }
    return found;
  }

  /** Who called a workload without an identity, and was let in. */
  withoutIdentity(workload: string): PlaintextCaller[] {
    const from = Math.floor(this.clock.unixMs() / HOUR_MS) - HOURS_KEPT + 1;
    return [...(this.plaintext.get(workload) ?? [])].flatMap(({ flow: { ip, port }, hours, past }) => {
      let count = sumSince(hours, from);
      for (const part of past?.values() ?? []) count += sumSince(part.hours, from);
      return count === 0 ? [] : [{ ip, port, count }];
    });
  }

  get size(): number {
    return this.kept.size;
  }

  /** The first hour that sidecars told of later; undefined: they have not. */
  get firstUnixMs(): number | undefined {
    if (this.firstHour === Number.POSITIVE_INFINITY) return undefined;
    const oldest = Math.floor(this.clock.unixMs() / HOUR_MS) - HOURS_KEPT + 1;
    return Math.max(this.firstHour, oldest) * HOUR_MS;
  }

  private thisHour(nowUnixMs: number): number {
    const hour = Math.floor(nowUnixMs / HOUR_MS);
    if (hour !== this.sweptHour) this.sweep(hour);
    return hour;
  }

  /** Undefined: of too many control planes. */
  private partOf(kept: Kept, heldBy: readonly string[]): Hours | undefined {
    kept.past ??= new Map();
    const key = [...heldBy].sort().join(' ');
    let part = kept.past.get(key);
    if (part === undefined) {
      if (kept.past.size >= PARTS_MAX) return undefined;
      part = { heldBy: [...heldBy], hours: new Map() };
      kept.past.set(key, part);
    }
    return part.hours;
  }

  /** Undefined: it is none, or there is no room for it. */
  private keptOf(workload: string, pod: string, flow: FlowReport): Kept | undefined {
    const { identity, ip, method, host, path, example, port, denied, count } = flow;
    if (!Number.isSafeInteger(count) || count <= 0) return undefined;
    if (isTooLong(flow) || isMadeUp(flow)) {
      this.lost += count;
      return undefined;
    }
    const key = [workload, identity, ip, method, host, path, port, denied].join('\n');
    const known = this.kept.get(key);
    if (known !== undefined) {
      known.pod = pod;
      return known;
    }
    const ofWorkload = this.ofWorkload.get(workload) ?? 0;
    if (this.kept.size >= FLOWS_MAX || ofWorkload >= OF_WORKLOAD_MAX) {
      this.lost += count;
      return undefined;
    }
    const only = { identity, ip, method, host, path, example, port, denied, count };
    const kept: Kept = { flow: only, workload, pod, lastUnixMs: 0, hours: new Map(), past: undefined };
    this.kept.set(key, kept);
    this.ofWorkload.set(workload, ofWorkload + 1);
    if (isPlaintext(only)) {
      const set = this.plaintext.get(workload);
      if (set === undefined) this.plaintext.set(workload, new Set([kept]));
      else set.add(kept);
    }
    return kept;
  }

  private sweep(hour: number): void {
    this.sweptHour = hour;
    const isOld = (one: number): boolean => one <= hour - HOURS_KEPT;
    for (const [key, kept] of this.kept) {
      for (const one of kept.hours.keys()) if (isOld(one)) kept.hours.delete(one);
      for (const [holders, { hours }] of kept.past ?? []) {
        const before = hours.size;
        for (const one of hours.keys()) if (isOld(one)) hours.delete(one);
        this.pastHours -= before - hours.size;
        if (hours.size === 0) kept.past?.delete(holders);
      }
      if (kept.hours.size > 0 || (kept.past?.size ?? 0) > 0) continue;
      this.kept.delete(key);
      this.forget(kept);
    }
  }

  private forget(kept: Kept): void {
    const { workload } = kept;
    const plaintext = this.plaintext.get(workload);
    if (plaintext?.delete(kept) === true && plaintext.size === 0) this.plaintext.delete(workload);
    const left = (this.ofWorkload.get(workload) ?? 1) - 1;
    if (left > 0) this.ofWorkload.set(workload, left);
    else this.ofWorkload.delete(workload);
  }
}
