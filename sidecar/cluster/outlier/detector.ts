import type { Prng } from '@weft/policies/kit/prng';
import type { OutlierDetection } from '@weft/policies/model/outlier';
import { latencyOutliers, type Timed } from './latency.ts';
import { HostMonitor, type Window } from './monitor.ts';

/** Why an endpoint was left out, as Envoy's counters name it; `latency` is Weft's own. */
type EjectionCause =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'local_origin_success_rate'
  | 'failure_percentage'
  | 'local_origin_failure_percentage'
  | 'latency';

interface OutlierCounters {
  ejectionsTotal: number;
  /** Ejections that ejectionPercentMax did not allow. */
  overflow: number;
  /** Ejections that were found and, by their enforcing percentage, not made. */
  notEnforced: number;
  readonly byCause: Map<EjectionCause, number>;
  /** Outliers that were found, whether they were left out or not. */
  readonly detectedByCause: Map<EjectionCause, number>;
}

/**
 * Decides which endpoints of a cluster are left out, as Envoy's outlier detection does: at once after so many failures in
 * a row, and at each interval by comparison with the others. Pure: time comes in with the calls.
 */
export class OutlierDetector {
  readonly settings: OutlierDetection;
  readonly counters: OutlierCounters = {
    ejectionsTotal: 0,
    overflow: 0,
    notEnforced: 0,
    byCause: new Map(),
    detectedByCause: new Map(),
  };
  private readonly monitors = new Set<HostMonitor>();
  private readonly prng: Prng;
  private readonly nowMs: () => number;
  private readonly onChange: () => void;
  private ejected = 0;

  /** `onChange`: endpoints were ejected or came back. */
  constructor(settings: OutlierDetection, prng: Prng, nowMs: () => number, onChange: () => void) {
    this.settings = settings;
    this.prng = prng;
    this.nowMs = nowMs;
    this.onChange = onChange;
  }

  get ejectionsActive(): number {
    return this.ejected;
  }

  add(): HostMonitor {
    const monitor = new HostMonitor(this);
    this.monitors.add(monitor);
    return monitor;
  }

  remove(monitor: HostMonitor): void {
    if (this.monitors.delete(monitor) && monitor.ejected) this.ejected--;
  }

  /** A limit on failures in a row was reached. */
  onConsecutive(monitor: HostMonitor, cause: EjectionCause, enforcedPercent: number): void {
    if (!monitor.ejected && this.monitors.has(monitor) && this.eject(monitor, cause, enforcedPercent)) this.onChange();
  }

  /** For who knows better that an endpoint is well, as a health check that it passed. */
  bringBackNow(monitor: HostMonitor): void {
    if (!monitor.ejected || !this.monitors.has(monitor)) return;
    monitor.comeBack();
    this.ejected--;
    this.onChange();
  }

  /** To be called every `intervalMs`. */
  tick(): void {
    const now = this.nowMs();
    let changed = false;
    for (const monitor of this.monitors) {
      if (this.bringBack(monitor, now)) changed = true;
      monitor.successRate = -1;
      monitor.localSuccessRate = -1;
    }
    const { successRate, failurePercentage } = this.settings;
    if (
      this.compare((monitor) => monitor.external, {
        rate: ['success_rate', successRate.enforcedPercent],
        failures: ['failure_percentage', failurePercentage.enforcedPercent],
        keep: (monitor, rate) => {
          monitor.successRate = rate;
        },
      })
    ) {
      changed = true;
    }
    if (
      this.settings.splitLocalErrors &&
      this.compare((monitor) => monitor.local, {
        rate: ['local_origin_success_rate', successRate.localEnforcedPercent],
        failures: ['local_origin_failure_percentage', failurePercentage.localEnforcedPercent],
        keep: (monitor, rate) => {
          monitor.localSuccessRate = rate;
        },
      })
    ) {
      changed = true;
    }
    if (this.compareLatency()) changed = true;
    for (const monitor of this.monitors) monitor.startWindow();
    if (changed) this.onChange();
  }

  /** One that was not ejected for a whole interval gets back some of its good name. */
  private bringBack(monitor: HostMonitor, nowMs: number): boolean {
    if (!monitor.ejected) {
      if (monitor.ejections > 0) monitor.ejections--;
      return false;
    }
    const { baseEjectionTimeMs, ejectionTimeMsMax } = this.settings;
    const longMs = Math.min(baseEjectionTimeMs * monitor.ejections, Math.max(ejectionTimeMsMax, baseEjectionTimeMs));
    if (nowMs - monitor.ejectedAtMs < longMs + monitor.jitterMs) return false;
    monitor.comeBack();
    this.ejected--;
    return true;
  }

  private compare(
    windowOf: (monitor: HostMonitor) => Window,
    how: {
      readonly rate: readonly [EjectionCause, number];
      readonly failures: readonly [EjectionCause, number];
      readonly keep: (monitor: HostMonitor, rate: number) => void;
    },
  ): boolean {
    const { successRate, failurePercentage } = this.settings;
    const rated: { readonly monitor: HostMonitor; readonly rate: number }[] = [];
    const counted: { readonly monitor: HostMonitor; readonly rate: number }[] = [];
    for (const monitor of this.monitors) {
      if (monitor.ejected) continue;
      const { total, successes } = windowOf(monitor);
      if (total === 0) continue;
      const rate = (100 * successes) / total;
      if (total >= Math.min(successRate.requestsMin, failurePercentage.requestsMin)) how.keep(monitor, rate);
      if (total >= successRate.requestsMin) rated.push({ monitor, rate });
      if (total >= failurePercentage.requestsMin) counted.push({ monitor, rate });
    }
    let changed = false;
    if (rated.length > 0 && rated.length >= successRate.hostsMin) {
      const mean = rated.reduce((sum, { rate }) => sum + rate, 0) / rated.length;
      const variance = rated.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rated.length;
      const threshold = mean - successRate.deviations * Math.sqrt(variance);
      for (const { monitor, rate } of rated) {
        if (rate < threshold && this.eject(monitor, ...how.rate)) changed = true;
      }
    }
    if (counted.length > 0 && counted.length >= failurePercentage.hostsMin) {
      for (const { monitor, rate } of counted) {
        if (monitor.ejected || 100 - rate < failurePercentage.thresholdPercent) continue;
        if (this.eject(monitor, ...how.failures)) changed = true;
      }
    }
    return changed;
  }

  private compareLatency(): boolean {
    const { latency } = this.settings;
    if (latency === undefined) return false;
    const timed: Timed<HostMonitor>[] = [];
    for (const monitor of this.monitors) {
      const { latency: window } = monitor;
      if (monitor.ejected || window === undefined || window.total < Math.max(1, latency.requestsMin)) continue;
      timed.push({ of: monitor, ms: window.percentile(latency.percentile) });
    }
    let changed = false;
    for (const monitor of latencyOutliers(timed, latency)) {
      if (this.eject(monitor, 'latency', latency.enforcedPercent)) changed = true;
    }
    return changed;
  }

  private eject(monitor: HostMonitor, cause: EjectionCause, enforcedPercent: number): boolean {
    const { ejectionPercentMax, alwaysEjectOne, ejectionTimeJitterMs, baseEjectionTimeMs, ejectionTimeMsMax } =
      this.settings;
    const { byCause, detectedByCause } = this.counters;
    detectedByCause.set(cause, (detectedByCause.get(cause) ?? 0) + 1);
    const share = (100 * (this.ejected + 1)) / this.monitors.size;
    if (share > ejectionPercentMax && !(alwaysEjectOne && this.ejected === 0)) {
      this.counters.overflow++;
      return false;
    }
    if (this.prng.next() * 100 >= enforcedPercent) {
      this.counters.notEnforced++;
      return false;
    }
    this.ejected++;
    this.counters.ejectionsTotal++;
    byCause.set(cause, (byCause.get(cause) ?? 0) + 1);
    monitor.ejected = true;
    monitor.ejectedAtMs = this.nowMs();
    monitor.jitterMs = ejectionTimeJitterMs === 0 ? 0 : this.prng.next() * ejectionTimeJitterMs;
    if (monitor.ejections * baseEjectionTimeMs < ejectionTimeMsMax + baseEjectionTimeMs) monitor.ejections++;
    return true;
  }
}
