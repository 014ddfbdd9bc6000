import type { OutlierDetector } from './detector.ts';
import { LatencyWindow } from './latency.ts';

/** What an attempt came to where no status says it. */
export const CONNECT_FAILED = -1;
export const RESET = -2;
export const TIMED_OUT = -3;

/** Answers of one interval. */
export interface Window {
  total: number;
  successes: number;
}

/** Without a distinction of local errors, they count as the status that the client gets. */
const statusOf = (code: number): number => {
  if (code > 0) return code;
  return code === TIMED_OUT ? 504 : 503;
};

/** What is known of one endpoint. */
export class HostMonitor {
  ejected = false;
  ejectedAtMs = 0;
  jitterMs = 0;
  /** How often it was ejected, less the intervals that it has stood since. */
  ejections = 0;
  /** Percent in the last interval; -1: too few requests. */
  successRate = -1;
  localSuccessRate = -1;
  readonly external: Window = { total: 0, successes: 0 };
  readonly local: Window = { total: 0, successes: 0 };
  /** Where endpoints are compared by how long they take. */
  readonly latency: LatencyWindow | undefined;
  private serverErrors = 0;
  private gatewayErrors = 0;
  private localErrors = 0;
  private readonly detector: OutlierDetector;

  constructor(detector: OutlierDetector) {
    this.detector = detector;
    this.latency = detector.settings.latency === undefined ? undefined : new LatencyWindow();
  }

  /** `code`: a status, or one of CONNECT_FAILED, RESET and TIMED_OUT. `tookMs`: until then; negative: not known. */
  report(code: number, tookMs = -1): void {
    if (tookMs >= 0) this.latency?.add(tookMs);
    const { splitLocalErrors, consecutive } = this.detector.settings;
    if (splitLocalErrors) {
      this.local.total++;
      if (code <= 0) {
        this.localErrors++;
        if (this.localErrors === consecutive.localErrors.errorsMax) {
          this.localErrors = 0;
          this.detector.onConsecutive(
            this,
            'consecutive_local_origin_failure',
            consecutive.localErrors.enforcedPercent,
          );
        }
        return;
      }
      this.local.successes++;
      this.localErrors = 0;
    }
    this.answer(statusOf(code));
  }

  comeBack(): void {
    this.ejected = false;
    // A counter that was near its limit would eject it again after few failures.
    this.serverErrors = 0;
    this.gatewayErrors = 0;
    this.localErrors = 0;
  }

  startWindow(): void {
    this.external.total = 0;
    this.external.successes = 0;
    this.local.total = 0;
    this.local.successes = 0;
    this.latency?.clear();
  }

  private answer(status: number): void {
    const { consecutive } = this.detector.settings;
    this.external.total++;
    if (status < 500) {
      this.external.successes++;
      this.serverErrors = 0;
      this.gatewayErrors = 0;
      return;
    }
    if (status >= 502 && status <= 504) {
      this.gatewayErrors++;
      if (this.gatewayErrors === consecutive.gatewayErrors.errorsMax) {
        this.gatewayErrors = 0;
        this.detector.onConsecutive(this, 'consecutive_gateway_failure', consecutive.gatewayErrors.enforcedPercent);
      }
    } else {
      this.gatewayErrors = 0;
    }
    this.serverErrors++;
    if (this.serverErrors === consecutive.serverErrors.errorsMax) {
      this.serverErrors = 0;
      this.detector.onConsecutive(this, 'consecutive_5xx', consecutive.serverErrors.enforcedPercent);
    }
  }
}
