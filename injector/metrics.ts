/** Counters, gauges and one histogram in the Prometheus text format (version 0.0.4). */

const DURATION_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5] as const;

interface Family {
  readonly type: 'counter' | 'gauge';
  readonly help: string;
}

/** Every name there is; a reader of `/metrics` finds no other. */
const FAMILIES = {
  weft_injector_requests_total: { type: 'counter', help: 'Admission requests by result and reason.' },
  weft_injector_rejected_requests_total: {
    type: 'counter',
    help: 'HTTP requests that were no admission request, by cause.',
  },
  weft_injector_panics_total: { type: 'counter', help: 'Bugs that became a denial.' },
  weft_injector_namespace_reads_total: { type: 'counter', help: 'Reads of namespace labels by result.' },
  weft_injector_ca_bundle_patches_total: {
    type: 'counter',
    help: 'Times the caBundle of the webhook configuration had to be set, by result.',
  },
  weft_injector_certificate_renewals_total: { type: 'counter', help: 'Certificates made, by result.' },
  weft_injector_certificate_expiry_seconds: {
    type: 'gauge',
    help: 'When the serving certificate ends, in seconds since the epoch.',
  },
} as const satisfies Readonly<Record<string, Family>>;

type MetricName = keyof typeof FAMILIES;
export type Labels = Readonly<Record<string, string>>;

const escapeLabel = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
const labelText = (labels: Labels): string => {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
};

export class Metrics {
  readonly #values = new Map<MetricName, Map<string, number>>();
  readonly #buckets = DURATION_SECONDS.map(() => 0);
  #durationSum = 0;
  #durationCount = 0;

  add(name: MetricName, labels: Labels = {}): void {
    const series = this.#series(name);
    const key = labelText(labels);
    series.set(key, (series.get(key) ?? 0) + 1);
  }

  set(name: MetricName, value: number, labels: Labels = {}): void {
    this.#series(name).set(labelText(labels), value);
  }

  observeRequestSeconds(seconds: number): void {
    this.#durationSum += seconds;
    this.#durationCount += 1;
    DURATION_SECONDS.forEach((bound, index) => {
      if (seconds <= bound) this.#buckets[index] = (this.#buckets[index] ?? 0) + 1;
    });
  }

  #series(name: MetricName): Map<string, number> {
    const known = this.#values.get(name);
    if (known !== undefined) return known;
    const made = new Map<string, number>();
    this.#values.set(name, made);
    return made;
  }

  render(): string {
    const lines: string[] = [];
    for (const [name, series] of [...this.#values].toSorted(([a], [b]) => a.localeCompare(b))) {
      const { help, type } = FAMILIES[name];
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of series) lines.push(`${name}${labels} ${value}`);
    }
    const histogram = 'weft_injector_request_duration_seconds';
    lines.push(`# HELP ${histogram} Time to answer an admission request.`, `# TYPE ${histogram} histogram`);
    DURATION_SECONDS.forEach((bound, index) => {
      lines.push(`${histogram}_bucket{le="${bound}"} ${this.#buckets[index]}`);
    });
    lines.push(
      `${histogram}_bucket{le="+Inf"} ${this.#durationCount}`,
      `${histogram}_sum ${this.#durationSum}`,
      `${histogram}_count ${this.#durationCount}`,
    );
    return `${lines.join('\n')}\n`;
  }
}
