import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { HealthCheck } from '@weft/policies/model/health-check';
import type { CheckBounds } from './bounds.ts';
import type { CheckOutcome, HostHealth, Verdict } from './host-health.ts';
import type { Prober } from './prober.ts';

interface SessionDeps {
  readonly settings: HealthCheck;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly bounds: CheckBounds;
  /** The cluster was used lately. */
  readonly hasTraffic: () => boolean;
  readonly onOutcome: (outcome: CheckOutcome, verdict: Verdict) => void;
}

/** The checks of one endpoint, one after the other. */
export class HealthSession {
  readonly health: HostHealth;
  private readonly prober: Prober;
  private readonly deps: SessionDeps;
  private cancelTimer: Cancel | undefined = undefined;
  private underWay = false;
  private readonly run = (): void => this.begin();

  constructor(health: HostHealth, prober: Prober, deps: SessionDeps) {
    this.health = health;
    this.prober = prober;
    this.deps = deps;
    const { settings, prng } = deps;
    this.schedule(prng.next() * settings.initialJitterMs);
  }

  certificateChanged(): void {
    if (!this.underWay) this.prober.dropConnection();
  }

  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.deps.bounds.withdraw(this.run);
    this.prober.cancel();
    if (!this.underWay) return;
    this.underWay = false;
    this.deps.bounds.end();
  }

  private schedule(delayMs: number): void {
    this.cancelTimer = this.deps.clock.after(delayMs, () => {
      this.cancelTimer = undefined;
      this.deps.bounds.enter(this.run);
    });
  }

  private begin(): void {
    this.underWay = true;
    const { clock, settings } = this.deps;
    this.cancelTimer = clock.after(settings.timeoutMs, () => {
      this.prober.cancel();
      this.finish('timeout');
    });
    this.prober.start((outcome) => this.finish(outcome));
  }

  private finish(outcome: CheckOutcome): void {
    this.cancelTimer?.();
    this.underWay = false;
    const verdict = this.health.observe(outcome);
    this.schedule(this.nextMs(verdict));
    this.deps.onOutcome(outcome, verdict);
    this.deps.bounds.end();
  }

  private nextMs(verdict: Verdict): number {
    const { settings, prng } = this.deps;
    const intervalMs = this.deps.hasTraffic() ? busyMs(settings, verdict) : idleMs(settings, verdict);
    const jitterMs = settings.intervalJitterMs + (intervalMs * settings.intervalJitterPercent) / 100;
    return intervalMs + prng.next() * jitterMs;
  }
}

function busyMs(settings: HealthCheck, { passed, changeNear }: Verdict): number {
  if (passed) return changeNear ? settings.healthyEdgeIntervalMs : settings.intervalMs;
  return changeNear ? settings.unhealthyEdgeIntervalMs : settings.unhealthyIntervalMs;
}

const idleMs = (settings: HealthCheck, { passed, changeNear }: Verdict): number =>
  passed && !changeNear ? settings.noTrafficHealthyIntervalMs : settings.noTrafficIntervalMs;
