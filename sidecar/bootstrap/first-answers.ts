import type { Cancel, Clock } from '@weft/policies/kit/clock';

interface Ports {
  readonly clock: Clock;
  /** These were waited for long enough. */
  readonly onOverdue: (names: readonly string[]) => void;
}

/** Until when listeners wait for the first endpoints of services, each with a time of its own. */
export class FirstAnswers {
  private readonly ports: Ports;
  /** For how long each that is not answered yet is waited for; 0: as long as it takes. */
  private readonly pending = new Map<string, number>();
  private readonly timers: Cancel[] = [];
  private onOver: () => void = () => undefined;

  constructor(ports: Ports) {
    this.ports = ports;
  }

  /** Several clusters may have the same service: Envoy's wait each for itself, so that the longest time counts. */
  expect(name: string, timeoutMs: number): void {
    const known = this.pending.get(name) ?? timeoutMs;
    this.pending.set(name, known === 0 || timeoutMs === 0 ? 0 : Math.max(known, timeoutMs));
  }

  /** The times begin. Resolves when nobody is waited for any more. */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.onOver = resolve;
      for (const timeoutMs of new Set(this.pending.values())) {
        if (timeoutMs > 0) this.timers.push(this.ports.clock.after(timeoutMs, () => this.overdue(timeoutMs)));
      }
      this.settle();
    });
  }

  answered(names: Iterable<string>): void {
    for (const name of names) this.pending.delete(name);
    this.settle();
  }

  /** Nobody waits any more. */
  close(): void {
    this.pending.clear();
    this.settle();
  }

  private overdue(timeoutMs: number): void {
    const names = [...this.pending].flatMap(([name, itsMs]) => (itsMs === timeoutMs ? [name] : []));
    if (names.length > 0) this.ports.onOverdue(names);
    this.answered(names);
  }

  private settle(): void {
    if (this.pending.size > 0) return;
    for (const cancel of this.timers.splice(0)) cancel();
    this.onOver();
  }
}
