/** Counters of the API server in the Prometheus text format. */
type Labels = Readonly<Record<string, string>>;

interface Family {
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly values: Map<string, number>;
}

const families: Readonly<Record<string, { help: string; type: Family['type'] }>> = {
  apiserver_request_total: { help: 'Requests answered, by verb, resource and status code.', type: 'counter' },
  apiserver_refused_total: { help: 'Requests refused because a limit was reached, by limit.', type: 'counter' },
  apiserver_watches: { help: 'Watches open now.', type: 'gauge' },
  apiserver_watch_closed_total: { help: 'Watches ended by the server, by reason.', type: 'counter' },
  apiserver_webhook_calls_total: { help: 'Calls to admission webhooks, by webhook and outcome.', type: 'counter' },
  apiserver_storage_revision: { help: 'Revision of the last write.', type: 'gauge' },
  apiserver_storage_write_errors_total: {
    help: 'Writes that the database refused, as on a full disk.',
    type: 'counter',
  },
  apiserver_storage_objects: { help: 'Objects stored, by resource.', type: 'gauge' },
};

const labelText = (labels: Labels): string => {
  const parts = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
};

export class Counters {
  readonly #families = new Map<string, Map<string, number>>();

  #values(name: string): Map<string, number> {
    let values = this.#families.get(name);
    if (values === undefined) {
      values = new Map();
      this.#families.set(name, values);
    }
    return values;
  }

  add(name: string, labels: Labels = {}, by = 1): void {
    const values = this.#values(name);
    const key = labelText(labels);
    values.set(key, (values.get(key) ?? 0) + by);
  }

  set(name: string, value: number, labels: Labels = {}): void {
    this.#values(name).set(labelText(labels), value);
  }

  get(name: string, labels: Labels = {}): number {
    return this.#families.get(name)?.get(labelText(labels)) ?? 0;
  }

  text(): string {
    const lines: string[] = [];
    for (const [name, { help, type }] of Object.entries(families)) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
      for (const [labels, value] of this.#families.get(name) ?? []) lines.push(`${name}${labels} ${value}`);
    }
    return `${lines.join('\n')}\n`;
  }
}
