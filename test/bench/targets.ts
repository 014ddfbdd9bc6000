/** What Weft wants to reach: Weft divided by Envoy, or a value of its own. */
import type { Row } from './report.ts';

interface Bound {
  readonly ratio?: number;
  readonly value?: number;
}

export interface Target {
  readonly bench: string;
  readonly metric: string;
  /** How the row's load begins. */
  readonly load?: string;
  readonly wire?: string;
  /** More is better: the bounds are the least. */
  readonly atLeast?: boolean;
  readonly must: Bound;
  readonly aim?: Bound;
}

const cpu = 'cpu_us_per_request';

export const targets: readonly Target[] = [
  { bench: 'mtls-h1', metric: cpu, load: 'saturated', wire: 'default', must: { ratio: 0.55 }, aim: { ratio: 0.35 } },
  { bench: 'mtls-h1', metric: cpu, load: '1000 rps', wire: 'default', must: { ratio: 0.65 }, aim: { ratio: 0.5 } },
  { bench: 'mtls-h1', metric: 'p99_ms', load: 'open loop', wire: 'default', must: { ratio: 1 }, aim: { ratio: 0.5 } },
  { bench: 'mtls-h1', metric: 'p999_ms', wire: 'default', must: { ratio: 1 }, aim: { ratio: 0.5 } },
  { bench: 'mtls-grpc', metric: cpu, load: 'saturated', must: { ratio: 0.45 }, aim: { ratio: 0.25 } },
  { bench: 'mtls-grpc', metric: cpu, load: '1000 rps', must: { ratio: 0.65 }, aim: { ratio: 0.45 } },
  { bench: 'h1-plain', metric: cpu, must: { ratio: 0.6 }, aim: { ratio: 0.5 } },
  { bench: 'h2-plain', metric: cpu, must: { ratio: 0.5 }, aim: { ratio: 0.3 } },
  { bench: 'tcp-mtls', metric: 'cpu_s_per_gb', must: { ratio: 1.5 }, aim: { ratio: 1 } },
  {
    bench: 'handshakes',
    metric: 'connections_per_core_second',
    atLeast: true,
    must: { ratio: 0.45 },
    aim: { ratio: 1 },
  },
  { bench: 'idle', metric: 'rss_anon_mb', must: { ratio: 1.3, value: 25 }, aim: { ratio: 1, value: 20 } },
  { bench: 'idle', metric: 'rss_anon_kb_per_connection', must: { ratio: 4 }, aim: { ratio: 2 } },
  { bench: 'start', metric: 'ready_ms', must: { value: 250 }, aim: { ratio: 1 } },
  { bench: 'ca', metric: 'certificates_per_core_second', atLeast: true, must: { value: 3_000 } },
  { bench: 'ca', metric: 'seconds_to_enrol', must: { value: 30 } },
  { bench: 'authz', metric: 'more_us_per_request', must: { value: 2 } },
  { bench: 'scale', metric: cpu, must: { ratio: 1.15 } },
  { bench: 'scale', metric: 'least_loaded_thread_share', atLeast: true, must: { value: 0.7 } },
];

export const targetOf = (row: Row): Target | undefined =>
  row.subject.startsWith('weft')
    ? targets.find(
        ({ bench, metric, load = '', wire }) =>
          row.bench === bench &&
          row.metric === metric &&
          (row.load ?? '').startsWith(load) &&
          (wire === undefined || row.wire === wire),
      )
    : undefined;

/** `undefined`: there is no number to judge. */
export function reaches(row: Row, bound: Bound, atLeast = false): boolean | undefined {
  const within = (number: number | null, limit: number | undefined): boolean | undefined => {
    if (limit === undefined) return true;
    if (number === null) return undefined;
    return atLeast ? number >= limit : number <= limit;
  };
  const verdicts = [within(row.ratio, bound.ratio), within(row.subject_value, bound.value)];
  return verdicts.includes(undefined) ? undefined : !verdicts.includes(false);
}

const units: Readonly<Record<string, string>> = { rss_anon_mb: ' MB', ready_ms: ' ms' };

export function boundText(row: Row, bound: Bound | undefined, atLeast = false): string {
  if (bound === undefined) return '';
  const sign = atLeast ? '≥' : '≤';
  const unit = units[row.metric] ?? '';
  const parts = [
    bound.ratio === undefined ? [] : [`${sign} ${bound.ratio}`],
    bound.value === undefined ? [] : [`${sign} ${bound.value}${unit}`],
  ];
  return parts.flat().join(', ');
}
