import type { Balancer } from '@weft/policies/model/balancer';
import type { Headers } from '../../http/headers.ts';
import { emptyReport, type LoadReport, ORCA_BINARY_FIELD, ORCA_FIELD, parseBinaryReport, parseReport } from './orca.ts';

type Settings = Extract<Balancer, { readonly kind: 'load-reported' }>;

/** Far more than any server does; what endpoints say must not make sums of weights endless. */
const WEIGHT_MAX = 1e12;

/** One at a time is read. */
const scratch = emptyReport();

/** The weight that the reports of one endpoint give it (gRFC A58, as Envoy's client-side weighted round robin). */
export class ReportedLoad {
  private readonly settings: Settings;
  private weight = 0;
  /** Minus infinity: no report, or none for too long. */
  private sinceMs = Number.NEGATIVE_INFINITY;
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(settings: Settings) {
    this.settings = settings;
  }

  /** Fields of a response or its trailers. False: there is a report that cannot be read. */
  read(fields: Headers, nowMs: number): boolean {
    const text = fields.get(ORCA_FIELD);
    if (text !== undefined) {
      if (!parseReport(text, scratch)) return false;
    } else {
      const binary = fields.get(ORCA_BINARY_FIELD);
      if (binary === undefined) return true;
      if (!parseBinaryReport(binary, scratch)) return false;
    }
    this.observe(scratch, nowMs);
    return true;
  }

  observe(report: LoadReport, nowMs: number): void {
    const utilization = report.applicationUtilization > 0 ? report.applicationUtilization : report.cpuUtilization;
    if (utilization === 0 || report.rate === 0) return;
    const penalty = (report.errors / report.rate) * this.settings.errorPenalty;
    if (this.sinceMs === Number.NEGATIVE_INFINITY || this.isExpired(nowMs)) this.sinceMs = nowMs;
    this.lastMs = nowMs;
    const weight = report.rate / (utilization + penalty);
    this.weight = weight > 0 ? Math.min(weight, WEIGHT_MAX) : 0;
  }

  /** 0: it has none. */
  weightAt(nowMs: number): number {
    if (this.sinceMs === Number.NEGATIVE_INFINITY || this.isExpired(nowMs)) return 0;
    return nowMs - this.sinceMs < this.settings.blackoutMs ? 0 : this.weight;
  }

  private isExpired(nowMs: number): boolean {
    return this.settings.expirationMs > 0 && nowMs - this.lastMs >= this.settings.expirationMs;
  }
}
