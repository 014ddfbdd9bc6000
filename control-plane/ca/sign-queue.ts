/**
 * Paces signing: a crowd of requests is worked off in slices, and between them the event loop serves the streams that are
 * there. What is beyond the bound is refused at once; its sidecar tries again later, with what it has until then.
 */
interface SignQueueLimits {
  readonly waitingMax: number;
  /** Under way at one time, for keys outside this process. */
  readonly underWayMax: number;
  readonly sliceMs: number;
}

const defaultLimits: SignQueueLimits = { waitingMax: 4_096, underWayMax: 256, sliceMs: 10 };

export class SignQueue {
  readonly counters = { refused: 0, slices: 0 };
  private readonly limits: SignQueueLimits;
  private waiting: (() => void)[] = [];
  private at = 0;
  private underWay = 0;
  private planned = false;

  constructor(limits: SignQueueLimits = defaultLimits) {
    this.limits = limits;
  }

  get depth(): number {
    return this.waiting.length - this.at;
  }

  /** Undefined: refused, the queue is full. */
  run<T>(task: () => Promise<T>): Promise<T> | undefined {
    if (this.depth >= this.limits.waitingMax) {
      this.counters.refused += 1;
      return undefined;
    }
    return new Promise<T>((resolve, reject) => {
      this.waiting.push(() => {
        this.underWay += 1;
        task()
          .then(resolve, reject)
          .finally(() => {
            this.underWay -= 1;
            this.plan();
          });
      });
      this.plan();
    });
  }

  private plan(): void {
    if (this.planned || this.depth === 0 || this.underWay >= this.limits.underWayMax) return;
    this.planned = true;
    setImmediate(() => {
      this.planned = false;
      this.slice();
    });
  }

  private slice(): void {
    this.counters.slices += 1;
    const untilMs = performance.now() + this.limits.sliceMs;
    do {
      const start = this.waiting[this.at];
      if (start === undefined) break;
      this.at += 1;
      start();
    } while (performance.now() < untilMs && this.underWay < this.limits.underWayMax);
    if (this.at > 1_024 || this.depth === 0) {
      this.waiting = this.waiting.slice(this.at);
      this.at = 0;
    }
    this.plan();
  }
}
