import type { RequestRecord } from './record.ts';

/** What a span needs of a record; a copy, since the record is reused. */
export interface SpanRecord {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly direction: RequestRecord['direction'];
  readonly protocol: RequestRecord['protocol'];
  readonly startUnixMs: number;
  readonly durationMs: number;
  readonly method: string;
  readonly authority: string;
  readonly path: string;
  readonly status: number;
  readonly grpcStatus: number;
  readonly flag: string;
  readonly route: string;
  readonly upstream: string;
  readonly attempts: number;
  readonly source: string;
  readonly destinationService: string;
  readonly remote: string;
  readonly requestId: string;
}

/** Fixed-size ring between the path and the exporter: the path never waits, the oldest spans give way. */
export class SpanRing {
  private readonly slots: (SpanRecord | undefined)[];
  private head = 0;
  private held = 0;
  overwritten = 0;

  constructor(capacity: number) {
    this.slots = new Array<SpanRecord | undefined>(capacity).fill(undefined);
  }

  push(r: RequestRecord): void {
    this.add({
      traceId: r.traceId,
      spanId: r.spanId,
      parentSpanId: r.parentSpanId,
      direction: r.direction,
      protocol: r.protocol,
      startUnixMs: r.startUnixMs,
      durationMs: r.durationMs,
      method: r.method,
      authority: r.authority,
      path: r.path,
      status: r.status,
      grpcStatus: r.grpcStatus,
      flag: r.flag,
      route: r.route,
      upstream: r.upstream,
      attempts: r.attempts,
      source: r.sourceIdentity,
      destinationService: r.destinationService,
      remote: r.remote,
      requestId: r.requestId,
    });
  }

  add(span: SpanRecord): void {
    this.slots[this.head] = span;
    this.head = (this.head + 1) % this.slots.length;
    if (this.held === this.slots.length) this.overwritten++;
    else this.held++;
  }

  /** Takes everything, oldest first. */
  drain(): SpanRecord[] {
    const taken: SpanRecord[] = [];
    const { length } = this.slots;
    for (let i = 0; i < this.held; i++) {
      const at = (this.head - this.held + i + length) % length;
      const span = this.slots[at];
      if (span !== undefined) taken.push(span);
      this.slots[at] = undefined;
    }
    this.held = 0;
    return taken;
  }
}
