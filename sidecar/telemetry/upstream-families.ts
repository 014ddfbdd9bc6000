import { escapeLabel } from './series.ts';

/** What metrics say of one cluster that has traffic. */
export interface UpstreamState {
  readonly cluster: string;
  /** `<namespace>/<service>`, or empty. */
  readonly service: string;
  /** Undefined: no breaker, or none that was ever asked. */
  readonly breaker: { readonly state: BreakerState; readonly opened: number; readonly refused: number } | undefined;
  /** Endpoints by what they are. */
  readonly endpoints: Readonly<Record<EndpointState, number>>;
  readonly ejections:
    | {
        readonly detected: ReadonlyMap<string, number>;
        readonly enforced: ReadonlyMap<string, number>;
        readonly overflow: number;
      }
    | undefined;
  readonly checks: Readonly<Record<string, number>> | undefined;
  readonly limits: readonly LimitUse[];
  /** By limit, what went beyond it. */
  readonly refused: ReadonlyMap<string, number>;
}

type BreakerState = 'closed' | 'open' | 'half-open';
/** The first of these that is true of an endpoint. */
export type EndpointState = 'draining' | 'unhealthy' | 'failed_check' | 'ejected' | 'available';

export interface LimitUse {
  readonly limit: 'connections' | 'pending' | 'requests' | 'retries';
  readonly max: number;
  readonly inUse: number;
}

const breakerStates: readonly BreakerState[] = ['closed', 'open', 'half-open'];

/** Clusters that are told apart; a sidecar with more shows those that had traffic first. */
const CLUSTERS_MAX = 1_000;

type Row = readonly [labels: string, value: number];

interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge';
  readonly help: string;
  readonly rows: (of: UpstreamState) => Iterable<Row>;
}

const label = (name: string, value: string): string => `,${name}="${escapeLabel(value)}"`;

function* byName(name: string, values: ReadonlyMap<string, number> | undefined): Generator<Row> {
  for (const [value, count] of values ?? []) yield [label(name, value), count];
}

/** Every state of breakers, ejections, health checks, budgets and limits, by cluster. */
const families: readonly Family[] = [
  {
    name: 'weft_upstream_breaker_state',
    type: 'gauge',
    help: 'Error-rate breakers by state: 1 where the breaker is in it, or so many data threads.',
    *rows({ breaker }) {
      if (breaker === undefined) return;
      for (const state of breakerStates) yield [label('state', state), breaker.state === state ? 1 : 0];
    },
  },
  {
    name: 'weft_upstream_breaker_opened_total',
    type: 'counter',
    help: 'How often the error-rate breaker opened.',
    *rows({ breaker }) {
      if (breaker !== undefined) yield ['', breaker.opened];
    },
  },
  {
    name: 'weft_upstream_breaker_refused_total',
    type: 'counter',
    help: 'Attempts that the error-rate breaker refused (UO).',
    *rows({ breaker }) {
      if (breaker !== undefined) yield ['', breaker.refused];
    },
  },
  {
    name: 'weft_upstream_endpoints',
    type: 'gauge',
    help: 'Endpoints by the first that is true of them: draining, unhealthy, failed_check, ejected, available.',
    *rows({ endpoints }) {
      for (const [state, count] of Object.entries(endpoints)) yield [label('state', state), count];
    },
  },
  {
    name: 'weft_upstream_ejections_detected_total',
    type: 'counter',
    help: 'Outliers that were found, by cause, whether they were left out or not.',
    rows: ({ ejections }) => byName('cause', ejections?.detected),
  },
  {
    name: 'weft_upstream_ejections_total',
    type: 'counter',
    help: 'Outliers that were left out, by cause.',
    rows: ({ ejections }) => byName('cause', ejections?.enforced),
  },
  {
    name: 'weft_upstream_ejections_overflow_total',
    type: 'counter',
    help: 'Outliers that were not left out because too many were already.',
    *rows({ ejections }) {
      if (ejections !== undefined) yield ['', ejections.overflow];
    },
  },
  {
    name: 'weft_upstream_health_checks_total',
    type: 'counter',
    help: 'Active health checks by result.',
    *rows({ checks }) {
      for (const [result, count] of Object.entries(checks ?? {})) yield [label('result', result), count];
    },
  },
  {
    name: 'weft_upstream_limit',
    type: 'gauge',
    help: 'What the cluster may use at one time; of retries as their budget allows now.',
    *rows({ limits }) {
      for (const { limit, max } of limits) yield [label('limit', limit), max];
    },
  },
  {
    name: 'weft_upstream_in_use',
    type: 'gauge',
    help: 'What is in use of each limit.',
    *rows({ limits }) {
      for (const { limit, inUse } of limits) yield [label('limit', limit), inUse];
    },
  },
  {
    name: 'weft_upstream_refused_total',
    type: 'counter',
    help: 'What went beyond a limit (UO, of retries URX).',
    rows: ({ refused }) => byName('limit', refused),
  },
];

/** Gauges that every data thread has of the same thing: they do not add up, and the highest is shown. */
export const alikeInThreads: ReadonlySet<string> = new Set(['weft_upstream_endpoints', 'weft_upstream_limit']);

/** Prometheus text format 0.0.4. */
export function upstreamFamilies(all: readonly UpstreamState[]): string {
  const out: string[] = [];
  const shown = all.slice(0, CLUSTERS_MAX);
  for (const { name, type, help, rows } of families) {
    const lines: string[] = [];
    for (const of of shown) {
      const common = `cluster="${escapeLabel(of.cluster)}"${label('destination_service', of.service)}`;
      for (const [labels, value] of rows(of)) lines.push(`${name}{${common}${labels}} ${value}`);
    }
    if (lines.length > 0) out.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines);
  }
  return out.length === 0 ? '' : `${out.join('\n')}\n`;
}
