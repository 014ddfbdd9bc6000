import type { RequestRecord } from './record.ts';

/** Names and values, as Envoy's statistics have them. */
export type NamedCounters = Readonly<Record<string, number>>;

const CLASSES = [1, 2, 3, 4, 5] as const;

/** What operators of Envoy look for of one connection manager or cluster; numbers alone, no labels. */
export class ExchangeCounters {
  private total = 0;
  private attempts = 0;
  private retries = 0;
  private timeouts = 0;
  private idle = 0;
  private noRoute = 0;
  private overflow = 0;
  private retryOverflow = 0;
  private gone = 0;
  private readonly classes = [0, 0, 0, 0, 0, 0];
  private readonly statuses = new Map<number, number>();

  observe(record: RequestRecord): void {
    this.total++;
    this.attempts += record.attempts;
    if (record.attempts > 1) this.retries += record.attempts - 1;
    const { status } = record;
    if (status > 0) {
      const family = Math.floor(status / 100);
      this.classes[family] = (this.classes[family] ?? 0) + 1;
      this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    }
    switch (record.flag) {
      case '':
        return;
      case 'UT':
        this.timeouts++;
        return;
      case 'SI':
        this.idle++;
        return;
      case 'NR':
        this.noRoute++;
        return;
      case 'UO':
        this.overflow++;
        return;
      case 'URX':
        this.retryOverflow++;
        return;
      case 'DC':
        this.gone++;
        return;
    }
  }

  downstream(prefix: string, out: Record<string, number>): void {
    out[`${prefix}.downstream_rq_total`] = this.total;
    out[`${prefix}.downstream_rq_completed`] = this.completed;
    for (const family of CLASSES) out[`${prefix}.downstream_rq_${family}xx`] = this.classes[family] ?? 0;
    out[`${prefix}.downstream_rq_idle_timeout`] = this.idle;
    out[`${prefix}.downstream_rq_rx_reset`] = this.gone;
    out[`${prefix}.no_route`] = this.noRoute;
  }

  upstream(prefix: string, out: Record<string, number>): void {
    out[`${prefix}.upstream_rq_total`] = this.attempts;
    out[`${prefix}.upstream_rq_completed`] = this.completed;
    for (const family of CLASSES) out[`${prefix}.upstream_rq_${family}xx`] = this.classes[family] ?? 0;
    for (const [status, count] of this.statuses) out[`${prefix}.upstream_rq_${status}`] = count;
    out[`${prefix}.upstream_rq_retry`] = this.retries;
    out[`${prefix}.upstream_rq_retry_limit_exceeded`] = this.retryOverflow;
    out[`${prefix}.upstream_rq_timeout`] = this.timeouts;
    out[`${prefix}.upstream_rq_pending_overflow`] = this.overflow;
  }

  private get completed(): number {
    return this.classes.reduce((sum, count) => sum + count, 0);
  }
}
