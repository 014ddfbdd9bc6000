import type { Recorder } from '../../telemetry/record.ts';

/** Checks under way at one time, of all clusters of a thread; the others wait for their turn. */
const IN_FLIGHT_MAX = 64;
/** Connections that are kept from one check to the next; beyond them each check has its own. */
const KEPT_CONNECTIONS_MAX = 1_024;

/** What health checks of all clusters may use together. */
export class CheckBounds {
  private inFlight = 0;
  private kept = 0;
  private readonly waiting = new Set<() => void>();
  private readonly recorder: Pick<Recorder, 'count'>;
  private readonly inFlightMax: number;

  constructor(recorder: Pick<Recorder, 'count'>, inFlightMax = IN_FLIGHT_MAX) {
    this.recorder = recorder;
    this.inFlightMax = inFlightMax;
  }

  /** Runs now or later; each run is to be ended once. */
  enter(run: () => void): void {
    if (this.inFlight < this.inFlightMax) {
      this.inFlight++;
      run();
      return;
    }
    this.recorder.count('health_check.waited');
    this.waiting.add(run);
  }

  /** True: it will not run any more. */
  withdraw(run: () => void): boolean {
    return this.waiting.delete(run);
  }

  end(): void {
    for (const next of this.waiting) {
      this.waiting.delete(next);
      next();
      return;
    }
    this.inFlight--;
  }

  /** A place for a connection that is kept; give it back with `dropConnection`. */
  keepConnection(): boolean {
    if (this.kept >= KEPT_CONNECTIONS_MAX) {
      this.recorder.count('health_check.connections.overflow');
      return false;
    }
    this.kept++;
    return true;
  }

  dropConnection(): void {
    this.kept--;
  }
}
