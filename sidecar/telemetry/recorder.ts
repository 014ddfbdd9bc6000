import type { Direction } from '@weft/policies/model/listener';
import { DecisionBook, type RuleAction } from '../authorization/book.ts';
import type { AccessLog } from './access-log.ts';
import { EgressBook } from './egress.ts';
import type { ExchangeCounters } from './exchange-counters.ts';
import type { Metrics } from './metrics.ts';
import type { Recorder, RequestRecord, TcpProgress } from './record.ts';
import type { SpanRing } from './span-ring.ts';
import type { TallyFamily, TallyLabels } from './tallies.ts';

/** Feeds one finished exchange to metrics, access log and spans. */
export class SidecarRecorder implements Recorder {
  private readonly metrics: Metrics;
  private readonly accessLog: AccessLog;
  private readonly spans: SpanRing;
  private readonly egress: EgressBook;
  readonly decisions: DecisionBook;

  constructor(metrics: Metrics, accessLog: AccessLog, spans: SpanRing) {
    this.metrics = metrics;
    this.accessLog = accessLog;
    this.spans = spans;
    this.decisions = new DecisionBook((event) => metrics.count(event));
    metrics.collect(() => this.decisions.render());
    this.egress = new EgressBook(
      (family, labels) => metrics.tally(family, labels),
      (event) => metrics.count(event),
    );
  }

  record(record: RequestRecord): void {
    this.metrics.observe(record);
    if (record.direction === 'outbound') this.egress.observe(record);
    else this.decisions.observe(record);
    this.accessLog.append(record);
    if (record.sampled && record.spanId !== '') this.spans.push(record);
  }

  tcpOpened(record: RequestRecord, progress: TcpProgress): () => void {
    return this.metrics.tcpOpened(record, progress);
  }

  connection(direction: Direction, open: 1 | -1): void {
    this.metrics.connection(direction, open);
  }

  countersOf(statPrefix: string): ExchangeCounters {
    return this.metrics.countersOf(statPrefix);
  }

  tally(family: TallyFamily, labels: TallyLabels): void {
    this.metrics.tally(family, labels);
  }

  decision(rule: string, action: RuleAction): void {
    this.decisions.hit(rule, action);
  }

  note(line: object): void {
    this.accessLog.note(line);
  }

  collect(render: () => string): void {
    this.metrics.collect(render);
  }

  count(event: string): void {
    this.metrics.count(event);
  }
}
