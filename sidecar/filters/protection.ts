import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { HttpConnectionManager, HttpFilter } from '@weft/policies/model/listener';
import type { QuotaGrant } from '../quota/client.ts';
import type { Recorder } from '../telemetry/record.ts';
import { escapeLabel } from '../telemetry/series.ts';
import { Admissions } from './admission/admissions.ts';
import { AdmissionFilter } from './admission/filter.ts';
import type { RequestFilter } from './filter.ts';
import type { HeaderFormats } from './header-formats.ts';
import { Limits } from './ratelimit/limits.ts';
import { LocalRateLimitFilter } from './ratelimit/local.ts';
import { RateLimitsFilter } from './ratelimit/rate-limits.ts';

interface ProtectionDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly recorder: Recorder;
  /** Data threads that share a limit, each of which gets as much of it. */
  readonly threads: number;
}

/** What protects applications from too many requests; one for each data thread. */
export class Protection {
  readonly limits: Limits;
  readonly admissions: Admissions;
  private readonly clock: Clock;

  constructor(deps: ProtectionDeps) {
    this.clock = deps.clock;
    this.limits = new Limits(deps);
    this.admissions = new Admissions(deps);
  }

  /** What the control plane leases of global limits. */
  grant(grants: readonly QuotaGrant[]): void {
    for (const one of grants) this.limits.grant(one, this.clock.nowMs());
  }

  /** Metrics in the text format of Prometheus; empty where nothing is limited. */
  render(): string {
    const out = new Exposition();
    for (const [name, { admitted, refused }] of this.limits.counts()) {
      const limit = `limit="${escapeLabel(name)}"`;
      out.add('weft_rate_limit_requests_total', `${limit},outcome="admitted"`, admitted);
      out.add('weft_rate_limit_requests_total', `${limit},outcome="refused"`, refused);
    }
    for (const [name, { controller }] of this.admissions.all()) {
      const workload = `workload="${escapeLabel(name)}"`;
      out.add('weft_admission_limit', workload, controller.limit.current);
      out.add('weft_admission_running', workload, controller.running);
      for (const { name: priority, length, counts } of controller.classes) {
        const labels = `${workload},class="${escapeLabel(priority)}"`;
        out.add('weft_admission_queue_length', labels, length);
        out.add('weft_admission_wait_seconds_total', labels, counts.waitedMs / 1_000);
        out.add('weft_admission_requests_total', `${labels},outcome="admitted",reason=""`, counts.admitted);
        out.add('weft_admission_queued_total', labels, counts.queued);
        for (const [reason, shed] of Object.entries(counts.shed)) {
          out.add('weft_admission_requests_total', `${labels},outcome="shed",reason="${reason}"`, shed);
        }
      }
    }
    return out.text();
  }
}

const families = {
  weft_rate_limit_requests_total: ['counter', 'Requests by the rate limit that they came to.'],
  weft_admission_limit: ['gauge', 'Requests that the application may be given at once.'],
  weft_admission_running: ['gauge', 'Requests that it has now.'],
  weft_admission_queue_length: ['gauge', 'Requests that wait for a place.'],
  weft_admission_queued_total: ['counter', 'Requests that had to wait.'],
  weft_admission_wait_seconds_total: ['counter', 'Time that requests waited before they were admitted.'],
  weft_admission_requests_total: ['counter', 'Requests that were admitted or shed, by class.'],
} as const;

class Exposition {
  private readonly rows = new Map<keyof typeof families, string[]>();

  add(name: keyof typeof families, labels: string, value: number): void {
    const rows = this.rows.get(name) ?? [];
    rows.push(`${name}{${labels}} ${value}`);
    this.rows.set(name, rows);
  }

  text(): string {
    let text = '';
    for (const [name, rows] of this.rows) {
      const [type, help] = families[name];
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${rows.join('\n')}\n`;
    }
    return text;
  }
}

type ProtectingFilter = Extract<
  HttpFilter,
  { readonly kind: 'localRateLimit' | 'rateLimits' | 'adaptiveConcurrency' | 'admission' }
>;

/** Where nobody keeps what outlives a listener. */
const alone = new WeakMap<HttpConnectionManager, Protection>();

function protectionOf(deps: FilterDeps): Protection {
  if (deps.protection !== undefined) return deps.protection;
  const known = alone.get(deps.hcm) ?? new Protection({ ...deps, threads: 1 });
  alone.set(deps.hcm, known);
  return known;
}

interface FilterDeps extends Omit<ProtectionDeps, 'threads'> {
  readonly hcm: HttpConnectionManager;
  readonly protection?: Protection;
  readonly headerFormats: HeaderFormats;
}

export function createProtection(filter: ProtectingFilter, deps: FilterDeps): RequestFilter | undefined {
  const { limits, admissions } = protectionOf(deps);
  const { filters } = deps.hcm;
  switch (filter.kind) {
    case 'localRateLimit':
      return new LocalRateLimitFilter(filter.name, filter.limit, { ...deps, limits });
    case 'rateLimits':
      return new RateLimitsFilter(filter.limits, { limits, clock: deps.clock });
    case 'adaptiveConcurrency': {
      // With an admission filter beside it, that one uses its limit.
      if (filters.some((one) => one.kind === 'admission')) return undefined;
      const { gradient, name } = filter;
      return AdmissionFilter.create(admissions, { ...bare, name: `${deps.hcm.statPrefix}/${name}` }, gradient);
    }
    case 'admission': {
      const gradient = filters.find((one) => one.kind === 'adaptiveConcurrency')?.gradient;
      return AdmissionFilter.create(admissions, filter.admission, gradient);
    }
  }
}

/** Envoy's filter has no queue. */
const bare = {
  fixedLimit: undefined,
  classes: [{ name: 'default', matches: [], weight: 1 }],
  queue: { lengthMax: 0, waitMsMax: 0, targetMs: 0, intervalMs: 0 },
} as const;
