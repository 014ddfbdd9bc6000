/** Who asked for what in the last hours, as the sidecars of this replica tell it. */
import type { Clock } from '@weft/policies/kit/clock';
import type { FlowReport } from '@weft/policies/model/decision-report';
import type { PlaintextCaller } from '../translate/context.ts';

/** With the workload that was called, `<namespace>/<name>`, and a pod of it. */
export interface Flow extends FlowReport {
  readonly workload: string;
  readonly pod: string;
  readonly lastUnixMs: number;
}

interface Kept {
  readonly flow: FlowReport;
  readonly workload: string;
  pod: string;
  lastUnixMs: number;
  /** Requests by the hour. */
  readonly hours: Map<number, number>;
}

const HOUR_MS = 3_600_000;
const HOURS_KEPT = 24;
const FLOWS_MAX = 50_000;
const OF_WORKLOAD_MAX = 8_192;
/** A sidecar may say anything, and what it says is kept for a day. */
const NAME_CHARS_MAX = 256;
const LONG_CHARS_MAX = 2_048;

const isTooLong = ({ identity, ip, method, host, path, example }: FlowReport): boolean =>
  Math.max(ip.length, method.length, host.length) > NAME_CHARS_MAX ||
  Math.max(identity.length, path.length, example.length) > LONG_CHARS_MAX;

const isPlaintext = ({ identity, denied }: FlowReport): boolean => identity === '' && !denied;

export class Flows {
  private readonly clock: Clock;
  private readonly kept = new Map<string, Kept>();
  private readonly ofWorkload = new Map<string, number>();
  /** Of callers without an identity that were let in, by workload. */
  private readonly plaintext = new Map<string, Set<Kept>>();
  private sweptHour = 0;
  /** Requests that there was no room for, here or in a sidecar. */
  lost = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  add(workload: string, pod: string, flow: FlowReport): void {
    const nowUnixMs = this.clock.unixMs();
    const hour = Math.floor(nowUnixMs / HOUR_MS);
    if (hour !== this.sweptHour) this.sweep(hour);
    const { identity, ip, method, host, path, example, port, denied, count } = flow;
    if (!Number.isSafeInteger(count) || count <= 0) return;
    if (isTooLong(flow)) {
      this.lost += count;
      return;
    }
    const key = [workload, identity, ip, method, host, path, port, denied].join('\n');
    let kept = this.kept.get(key);
    if (kept === undefined) {
      const ofWorkload = this.ofWorkload.get(workload) ?? 0;
      if (this.kept.size >= FLOWS_MAX || ofWorkload >= OF_WORKLOAD_MAX) {
        this.lost += count;
        return;
      }
      const only = { identity, ip, method, host, path, example, port, denied, count };
      kept = { flow: only, workload, pod, lastUnixMs: nowUnixMs, hours: new Map() };
      this.kept.set(key, kept);
      this.ofWorkload.set(workload, ofWorkload + 1);
      if (isPlaintext(only)) {
        const known = this.plaintext.get(workload);
        if (known === undefined) this.plaintext.set(workload, new Set([kept]));
        else known.add(kept);
      }
    }
    kept.pod = pod;
    kept.lastUnixMs = nowUnixMs;
    kept.hours.set(hour, (kept.hours.get(hour) ?? 0) + count);
  }

  /** Since a time, to the hour; undefined: of all workloads. */
  since(unixMs: number, namespace: string | undefined): Flow[] {
    const from = Math.floor(unixMs / HOUR_MS);
    const found: Flow[] = [];
    for (const { flow, workload, pod, lastUnixMs, hours } of this.kept.values()) {
      if (namespace !== undefined && !workload.startsWith(`${namespace}/`)) continue;
      let count = 0;
      for (const [hour, requests] of hours) if (hour >= from) count += requests;
      if (count > 0) found.push({ ...flow, workload, pod, count, lastUnixMs });
    }
    return found;
  }

  /** Who called a workload without an identity, and was let in. */
  withoutIdentity(workload: string): PlaintextCaller[] {
    const oldest = Math.floor(this.clock.unixMs() / HOUR_MS) - HOURS_KEPT;
    return [...(this.plaintext.get(workload) ?? [])].flatMap(({ flow: { ip, port }, hours }) => {
      let count = 0;
      for (const [hour, requests] of hours) if (hour > oldest) count += requests;
      return count === 0 ? [] : [{ ip, port, count }];
    });
  }

  get size(): number {
    return this.kept.size;
  }

  private sweep(hour: number): void {
    this.sweptHour = hour;
    for (const [key, kept] of this.kept) {
      const { hours, workload } = kept;
      for (const one of hours.keys()) if (one <= hour - HOURS_KEPT) hours.delete(one);
      if (hours.size > 0) continue;
      this.kept.delete(key);
      const plaintext = this.plaintext.get(workload);
      if (plaintext?.delete(kept) === true && plaintext.size === 0) this.plaintext.delete(workload);
      const left = (this.ofWorkload.get(workload) ?? 1) - 1;
      if (left > 0) this.ofWorkload.set(workload, left);
      else this.ofWorkload.delete(workload);
    }
  }
}
