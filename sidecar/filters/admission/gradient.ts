import type { Prng } from '@weft/policies/kit/prng';
import type { GradientSettings } from '@weft/policies/model/overload';
import { Latencies } from './latencies.ts';

/** What decides how many requests may be under way. */
export interface Limit {
  /** Whole, at least 1. */
  readonly current: number;
  /** Latency of the application without load, as far as it is known. */
  readonly usualMs: number;
  /** A response has begun, or a request was given up that had waited as long. */
  sample(startMs: number, nowMs: number): void;
  /** So many are under way now. */
  observe(inFlight: number, nowMs: number): void;
}

export class FixedLimit implements Limit {
  readonly current: number;
  readonly usualMs = 0;

  constructor(limit: number) {
    this.current = limit;
  }

  sample(): void {}
  observe(): void {}
}

/** Latencies of an interval that are kept: enough for a percentile, 16 KiB. */
const SAMPLES_MAX = 2_048;
/** Of one step, so that one odd interval does not undo the work of many. */
const GRADIENT_MIN = 0.5;
/** What a halved limit has to win in latency for the queue to have been in the application. */
const WORTHWHILE = 0.9;
/** As many updates a measurement may take before it ends with what it has. */
const PROBE_UPDATES_MAX = 50;

/**
 * Follows the ratio of the latency without load to the latency now (Envoy's gradient controller): at the knee, where more
 * at once makes responses slower and not more, the ratio falls, and the limit with it.
 *
 * The latency without load is measured anew each interval, with jitter. For it the limit is not cut to its minimum but
 * halved, and halved again only as long as that makes responses faster: while a server is busy, what is measured is the
 * work, and most of it still gets done. Only requests that began under the lower limit count.
 */
export class GradientLimit implements Limit {
  private readonly settings: GradientSettings;
  private readonly prng: Prng;
  private readonly latencies: Latencies;
  private limit: number;
  private minRttMs = 0;
  private lastRttMs = 0;
  private inFlightMax = 0;
  private updateAtMs: number;
  private probe:
    | { readonly sinceMs: number; readonly limit: number; readonly before: number; readonly againstMs: number }
    | undefined;
  private probeAtMs: number;

  constructor(settings: GradientSettings, prng: Prng, nowMs: number) {
    this.settings = settings;
    this.prng = prng;
    this.latencies = new Latencies(Math.min(SAMPLES_MAX, Math.max(settings.minRttSamples, 256)));
    this.limit = settings.limitMin;
    this.updateAtMs = nowMs + settings.updateIntervalMs;
    this.probeAtMs = Number.POSITIVE_INFINITY;
    // Nothing is known yet: the first requests tell, at the lowest limit.
    this.probe = { sinceMs: nowMs, limit: settings.limitMin, before: settings.limitMin, againstMs: 0 };
  }

  get current(): number {
    return Math.max(1, Math.floor(this.probe?.limit ?? this.limit));
  }

  get usualMs(): number {
    return this.minRttMs;
  }

  sample(startMs: number, nowMs: number): void {
    if (this.probe !== undefined && startMs < this.probe.sinceMs) return;
    this.latencies.add(nowMs - startMs, this.prng.next());
    if (this.probe !== undefined && this.latencies.count >= this.settings.minRttSamples) this.endProbe(nowMs);
  }

  observe(inFlight: number, nowMs: number): void {
    if (inFlight > this.inFlightMax) this.inFlightMax = inFlight;
    if (nowMs < this.updateAtMs) return;
    this.updateAtMs = nowMs + this.settings.updateIntervalMs;
    if (this.probe !== undefined) {
      const late = nowMs - this.probe.sinceMs >= PROBE_UPDATES_MAX * this.settings.updateIntervalMs;
      if (late && this.latencies.count > 0) this.endProbe(nowMs);
      return;
    }
    if (this.latencies.count > 0) this.update();
    this.inFlightMax = inFlight;
    this.latencies.clear();
    if (nowMs >= this.probeAtMs && this.lastRttMs > 0)
      this.startProbe(this.limit, this.limit / 2, this.lastRttMs, nowMs);
  }

  private update(): void {
    const { percentile, bufferPercent, limitMin, limitMax } = this.settings;
    this.lastRttMs = this.latencies.percentile(percentile);
    const wantedMs = this.minRttMs * (1 + bufferPercent / 100);
    const gradient = Math.max(GRADIENT_MIN, Math.min(1, wantedMs / Math.max(this.lastRttMs, Number.MIN_VALUE)));
    const shrunk = this.limit * gradient;
    const next = shrunk + Math.max(1, Math.sqrt(shrunk));
    // A limit that nobody comes near has not been tried.
    if (next > this.limit && this.inFlightMax < this.limit / 2) return;
    this.limit = Math.min(Math.max(limitMin, limitMax), Math.max(limitMin, next));
  }

  private startProbe(before: number, limit: number, againstMs: number, nowMs: number): void {
    this.probe = { sinceMs: nowMs, limit: Math.max(this.settings.limitMin, limit), before, againstMs };
    this.latencies.clear();
  }

  private endProbe(nowMs: number): void {
    const { probe, settings } = this;
    if (probe === undefined) return;
    const measuredMs = this.latencies.percentile(settings.percentile);
    const faster = probe.againstMs > 0 && measuredMs < probe.againstMs * WORTHWHILE;
    if (faster && probe.limit > settings.limitMin) {
      this.startProbe(probe.before, probe.limit / 2, measuredMs, nowMs);
      return;
    }
    this.minRttMs = measuredMs;
    this.limit = probe.before;
    this.probe = undefined;
    this.latencies.clear();
    const jitter = 1 + (settings.minRttJitterPercent / 100) * this.prng.next();
    this.probeAtMs = nowMs + settings.minRttIntervalMs * jitter;
    this.updateAtMs = nowMs + settings.updateIntervalMs;
  }
}
