import type { Direction } from '@weft/policies/model/listener';
import { ExchangeCounters, type NamedCounters } from './exchange-counters.ts';
import type { RequestRecord, TcpProgress } from './record.ts';
import { escapeLabel, type Series, SeriesTable } from './series.ts';
import { Tallies, type TallyFamily, type TallyLabels } from './tallies.ts';

/** Seconds; what Prometheus users expect of a request duration, finer below 10 ms. */
const BUCKETS_S: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
/** Counters of one sidecar, and their text for Prometheus (exposition format 0.0.4). */
export class Metrics {
  private readonly http = new SeriesTable(BUCKETS_S.length + 1);
  private readonly tcp = new SeriesTable(BUCKETS_S.length + 1);
  /** Opaque connections that are open: they may last for days, and are to be seen before they end. */
  private readonly live = new Set<{ readonly series: Series; readonly progress: TcpProgress }>();
  private readonly managers = new Map<string, ExchangeCounters>();
  private readonly events = new Map<string, number>();
  private readonly tallies = new Tallies();
  private readonly opened: Record<Direction, number> = { inbound: 0, outbound: 0 };
  private readonly active: Record<Direction, number> = { inbound: 0, outbound: 0 };
  private readonly collectors: (() => string)[] = [];
  private readonly gauges = new Map<string, { readonly help: string; readonly read: () => number }>();

  observe(record: RequestRecord): void {
    const table = record.protocol === 'tcp' ? this.tcp : this.http;
    const series = table.find(record);
    if (series === table.overflow) this.count('metric_series_overflow');
    // Bytes of opaque connections were counted while they were open.
    if (record.protocol === 'tcp') {
      series.requests++;
      return;
    }
    const seconds = record.durationMs / 1_000;
    series.requests++;
    series.durationSumS += seconds;
    series.requestBytes += record.bytesReceived;
    series.responseBytes += record.bytesSent;
    series.requestMessages += record.requestMessages;
    series.responseMessages += record.responseMessages;
    series.retries += Math.max(0, record.attempts - 1);
    let bucket = 0;
    while (bucket < BUCKETS_S.length && seconds > (BUCKETS_S[bucket] ?? 0)) bucket++;
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
  }

  tcpOpened(record: RequestRecord, progress: TcpProgress): () => void {
    const series = this.tcp.find(record);
    series.opened++;
    const entry = { series, progress };
    this.live.add(entry);
    return () => {
      if (!this.live.delete(entry)) return;
      series.requestBytes += progress.bytesReceived;
      series.responseBytes += progress.bytesSent;
    };
  }

  connection(direction: Direction, open: 1 | -1): void {
    this.active[direction] += open;
    if (open === 1) this.opened[direction]++;
  }

  /** Of a connection manager; two of one name count together, as on Envoy. */
  countersOf(statPrefix: string): ExchangeCounters {
    let counters = this.managers.get(statPrefix);
    if (counters === undefined) {
      counters = new ExchangeCounters();
      this.managers.set(statPrefix, counters);
    }
    return counters;
  }

  /** Under Envoy's names. */
  counters(): NamedCounters {
    const out: Record<string, number> = {};
    for (const [statPrefix, counters] of this.managers) counters.downstream(`http.${statPrefix}`, out);
    return out;
  }

  count(event: string): void {
    this.events.set(event, (this.events.get(event) ?? 0) + 1);
  }

  tally(family: TallyFamily, labels: TallyLabels): void {
    if (!this.tallies.add(family, labels)) this.count('metric_series_overflow');
  }

  gauge(name: string, help: string, read: () => number): void {
    this.gauges.set(name, { help, read });
  }

  collect(render: () => string): void {
    this.collectors.push(render);
  }

  /** Events by name, for the admin endpoint and tests. */
  eventCount(event: string): number {
    return this.events.get(event) ?? 0;
  }

  render(): string {
    const out: string[] = [];
    const counter = (name: string, help: string, rows: Iterable<readonly [string, number]>): void => {
      out.push(`# HELP ${name} ${help}`, `# TYPE ${name} counter`);
      for (const [labels, value] of rows) out.push(`${name}{${labels}} ${value}`);
    };
    const http = this.http.all();
    const tcp = this.tcp.all();
    const rows = (series: readonly Series[], value: (s: Series) => number): (readonly [string, number])[] =>
      series.map((s) => [s.labels, value(s)] as const);
    counter(
      'weft_requests_total',
      'HTTP and gRPC exchanges that ended.',
      rows(http, (s) => s.requests),
    );
    this.renderHistogram(out, http);
    counter(
      'weft_request_bytes_total',
      'Bytes of requests, heads included.',
      rows(http, (s) => s.requestBytes),
    );
    counter(
      'weft_response_bytes_total',
      'Bytes of responses, heads included.',
      rows(http, (s) => s.responseBytes),
    );
    counter(
      'weft_request_retries_total',
      'Attempts after the first.',
      rows(http, (s) => s.retries),
    );
    const calls = http.filter(({ labels }) => labels.includes('protocol="grpc"'));
    counter(
      'weft_grpc_request_messages_total',
      'Messages of gRPC clients.',
      rows(calls, (s) => s.requestMessages),
    );
    counter(
      'weft_grpc_response_messages_total',
      'Messages to gRPC clients.',
      rows(calls, (s) => s.responseMessages),
    );
    const live = this.liveBytes();
    counter(
      'weft_tcp_connections_opened_total',
      'Opaque connections that were carried.',
      rows(tcp, (s) => s.opened),
    );
    counter(
      'weft_tcp_connections_closed_total',
      'Opaque connections that ended.',
      rows(tcp, (s) => s.requests),
    );
    counter(
      'weft_tcp_received_bytes_total',
      'Bytes from the client of opaque connections.',
      rows(tcp, (s) => s.requestBytes + (live.get(s)?.received ?? 0)),
    );
    counter(
      'weft_tcp_sent_bytes_total',
      'Bytes to the client of opaque connections.',
      rows(tcp, (s) => s.responseBytes + (live.get(s)?.sent ?? 0)),
    );
    const directions = ['inbound', 'outbound'] as const;
    counter(
      'weft_connections_opened_total',
      'Connections accepted.',
      directions.map((direction) => [`direction="${direction}"`, this.opened[direction]] as const),
    );
    out.push('# HELP weft_connections_active Connections open now.', '# TYPE weft_connections_active gauge');
    for (const direction of directions) {
      out.push(`weft_connections_active{direction="${direction}"} ${this.active[direction]}`);
    }
    counter(
      'weft_events_total',
      'Bounds that were hit, refusals and losses, by name.',
      [...this.events].map(([event, value]) => [`event="${escapeLabel(event)}"`, value] as const),
    );
    this.tallies.render(counter);
    for (const [name, gauge] of this.gauges) {
      out.push(`# HELP ${name} ${gauge.help}`, `# TYPE ${name} gauge`, `${name} ${gauge.read()}`);
    }
    return `${out.join('\n')}\n${this.collectors.map((render) => render()).join('')}`;
  }

  private liveBytes(): ReadonlyMap<Series, { readonly received: number; readonly sent: number }> {
    const sums = new Map<Series, { received: number; sent: number }>();
    for (const { series, progress } of this.live) {
      const sum = sums.get(series) ?? { received: 0, sent: 0 };
      sum.received += progress.bytesReceived;
      sum.sent += progress.bytesSent;
      sums.set(series, sum);
    }
    return sums;
  }

  private renderHistogram(out: string[], series: readonly Series[]): void {
    const name = 'weft_request_duration_seconds';
    out.push(
      `# HELP ${name} From the first byte of the request to the last of the response.`,
      `# TYPE ${name} histogram`,
    );
    for (const s of series) {
      let cumulative = 0;
      for (const [i, bound] of BUCKETS_S.entries()) {
        cumulative += s.buckets[i] ?? 0;
        out.push(`${name}_bucket{${s.labels},le="${bound}"} ${cumulative}`);
      }
      out.push(`${name}_bucket{${s.labels},le="+Inf"} ${s.requests}`);
      out.push(`${name}_sum{${s.labels}} ${s.durationSumS}`, `${name}_count{${s.labels}} ${s.requests}`);
    }
  }
}
