import type { FlowReport, PastFlow } from '@weft/policies/model/decision-report';

const HOURS_KEPT = 24;
/** Flows by the hour and by who has them. */
const ENTRIES_MAX = 4_096;
/** Control planes of which one is sure to be there still: what so many have is told to no further one. */
const HOLDERS_MAX = 16;

interface Entry {
  flow: FlowReport;
  readonly hour: number;
  readonly heldBy: readonly string[];
}

const keyOf = ({ flow: { identity, ip, method, host, path, port, denied }, hour, heldBy }: PastFlow): string =>
  [hour, identity, ip, method, host, path, port, denied, heldBy.join(' ')].join('\n');

/** What this sidecar has told, and to which control planes: one that has begun anew is told of it too. */
export class FlowHistory {
  private entries = new Map<string, Entry>();
  private sweptHour = 0;
  private readonly count: (event: string) => void;

  constructor(count: (event: string) => void) {
    this.count = count;
  }

  get size(): number {
    return this.entries.size;
  }

  /** A control plane has taken these. */
  told(flows: readonly FlowReport[], hour: number, instance: string): void {
    if (hour !== this.sweptHour) this.sweep(hour);
    for (const flow of flows) this.add({ flow, hour, heldBy: [instance] });
  }

  /** What a control plane has not, oldest first. */
  missingAt(instance: string, max: number): PastFlow[] {
    const missing: PastFlow[] = [];
    for (const entry of this.entries.values()) {
      if (entry.heldBy.length >= HOLDERS_MAX || entry.heldBy.includes(instance)) continue;
      missing.push(entry);
      if (missing.length === max) break;
    }
    return missing;
  }

  /** It has them now. */
  retold(past: readonly PastFlow[], instance: string): void {
    const taken = new Set(past);
    const before = this.entries;
    this.entries = new Map();
    for (const entry of before.values()) {
      const held = taken.has(entry) && !entry.heldBy.includes(instance);
      this.add(held ? { ...entry, heldBy: [...entry.heldBy, instance].sort() } : entry);
    }
  }

  private add(entry: Entry): void {
    const key = keyOf(entry);
    const known = this.entries.get(key);
    if (known !== undefined) {
      known.flow = { ...known.flow, count: known.flow.count + entry.flow.count };
      return;
    }
    if (this.entries.size >= ENTRIES_MAX) this.dropOldest();
    this.entries.set(key, entry);
  }

  private dropOldest(): void {
    this.count('authorization.history_max');
    for (const key of this.entries.keys()) {
      this.entries.delete(key);
      break;
    }
  }

  private sweep(hour: number): void {
    this.sweptHour = hour;
    for (const [key, entry] of this.entries) if (entry.hour <= hour - HOURS_KEPT) this.entries.delete(key);
  }
}
