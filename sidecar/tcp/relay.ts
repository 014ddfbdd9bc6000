import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import type { ProxyError } from '../http/errors.ts';
import type { Deadlines, Timed } from '../net/deadlines.ts';

export interface RelayOptions {
  /** Read from the first socket before the relay began. */
  readonly firstBytes: Buffer | undefined;
  /** 0: none. Neither side sent anything for so long. */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** Called once, when both sides are closed. */
  readonly onEnd: (error: ProxyError | undefined) => void;
}

/**
 * Copies bytes between two sockets, both ways. Each direction ends for itself (half-close), and waits for its receiver.
 * When one side is cut off, so is the other.
 */
export class Relay implements Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  bytesReceived = 0;
  bytesSent = 0;
  private readonly downstream: Duplex;
  private readonly upstream: Duplex;
  private readonly options: RelayOptions;
  private error: ProxyError | undefined = undefined;
  private open = 2;

  constructor(downstream: Duplex, upstream: Duplex, options: RelayOptions) {
    this.downstream = downstream;
    this.upstream = upstream;
    this.options = options;
    options.deadlines.add(this);
    this.touch();
    const first = options.firstBytes;
    if (first !== undefined && first.length > 0) {
      this.bytesReceived += first.length;
      upstream.write(first);
    }
    this.copy(downstream, upstream);
    this.copy(upstream, downstream);
    downstream.on('data', (chunk: Buffer) => {
      this.bytesReceived += chunk.length;
    });
    upstream.on('data', (chunk: Buffer) => {
      this.bytesSent += chunk.length;
    });
    this.watch(downstream, upstream, 'DC', 'the client');
    this.watch(upstream, downstream, 'UC', 'the upstream');
    upstream.resume();
    downstream.resume();
  }

  onDeadline(): void {
    this.fail('SI', `no bytes either way for ${this.options.idleTimeoutMs} ms`);
    this.downstream.destroy();
    this.upstream.destroy();
  }

  private copy(from: Duplex, to: Duplex): void {
    from.on('data', (chunk: Buffer) => {
      this.touch();
      if (to.writable && !to.write(chunk)) from.pause();
    });
    to.on('drain', () => from.resume());
    // The end may have come while nobody listened: between the first bytes and now.
    if (from.readableEnded) to.end();
    else from.on('end', () => to.end());
  }

  private watch(socket: Duplex, other: Duplex, flag: 'DC' | 'UC', who: string): void {
    const onClose = (): void => {
      // Cut off before it said that it was done: what the other side still sends has no receiver.
      if (!socket.readableEnded || !socket.writableFinished) {
        if (!other.destroyed) this.fail(flag, `${who} broke the connection off`);
        other.destroy();
      }
      this.open--;
      if (this.open > 0) return;
      this.options.deadlines.remove(this);
      this.options.onEnd(this.error);
    };
    socket.on('error', () => undefined);
    if (socket.closed) process.nextTick(onClose);
    else socket.on('close', onClose);
  }

  private touch(): void {
    const { idleTimeoutMs, clock, deadlines } = this.options;
    if (idleTimeoutMs > 0) deadlines.set(this, clock.nowMs() + idleTimeoutMs);
  }

  private fail(flag: ProxyError['flag'], detail: string): void {
    this.error ??= { source: flag === 'UC' ? 'upstream' : 'downstream', flag, status: 0, retry: 'no', detail };
  }
}
