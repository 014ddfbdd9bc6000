import type { SpanRecord, SpanRing } from '../telemetry/span-ring.ts';

const INTERVAL_MS = 250;

/** Hands a data thread's spans on, one batch at a time: while the control thread is slow they wait in the ring, which drops the oldest. */
export class SpanForwarder {
  private readonly ring: SpanRing;
  private readonly send: (spans: readonly SpanRecord[]) => void;
  private readonly timer: NodeJS.Timeout;
  private underWay = false;

  constructor(ring: SpanRing, send: (spans: readonly SpanRecord[]) => void) {
    this.ring = ring;
    this.send = send;
    this.timer = setInterval(() => this.forward(), INTERVAL_MS);
    this.timer.unref();
  }

  taken(): void {
    this.underWay = false;
  }

  /** Sends what is left. */
  close(): void {
    clearInterval(this.timer);
    this.underWay = false;
    this.forward();
  }

  private forward(): void {
    if (this.underWay) return;
    const spans = this.ring.drain();
    if (spans.length === 0) return;
    this.underWay = true;
    this.send(spans);
  }
}
