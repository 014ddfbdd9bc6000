import type { Clock } from '@weft/policies/kit/clock';
import type { Downstream } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import { InterposedExchange } from '../../http/interposed.ts';
import { Pace } from '../../net/pace.ts';

/** An exchange whose bodies go slowly. */
export class ThrottledExchange extends InterposedExchange {
  private readonly up: Pace | undefined;
  private readonly down: Pace | undefined;

  /** KiB a second; 0: as fast as it goes. */
  constructor(inner: Downstream, requestRate: number, responseRate: number, clock: Clock) {
    super(inner);
    this.up =
      requestRate === 0
        ? undefined
        : new Pace(requestRate, clock, {
            onBytes: (chunk, end) => {
              this.receiver?.onData(chunk, end);
              return true;
            },
            onTrailers: (trailers) => this.receiver?.onTrailers(trailers),
            onDrained: () => undefined,
          });
    this.down =
      responseRate === 0
        ? undefined
        : new Pace(responseRate, clock, {
            onBytes: (chunk, end) => inner.write(chunk, end),
            onTrailers: (trailers) => inner.trailers(trailers),
            onDrained: () => this.receiver?.onWritable(),
          });
  }

  override write(chunk: Buffer, end: boolean): boolean {
    if (this.down === undefined) return this.inner.write(chunk, end);
    this.down.push(chunk, end);
    return !this.down.waiting;
  }

  override trailers(trailers: Headers): void {
    if (this.down === undefined) this.inner.trailers(trailers);
    else this.down.pushTrailers(trailers);
  }

  override onData(chunk: Buffer, end: boolean): void {
    if (this.up === undefined) this.receiver?.onData(chunk, end);
    else this.up.push(chunk, end);
  }

  override onTrailers(trailers: Headers): void {
    if (this.up === undefined) this.receiver?.onTrailers(trailers);
    else this.up.pushTrailers(trailers);
  }

  override onWritable(): void {
    if (this.down === undefined) this.receiver?.onWritable();
    else this.down.resume();
  }

  protected override stop(): void {
    this.up?.stop();
    this.down?.stop();
  }
}
