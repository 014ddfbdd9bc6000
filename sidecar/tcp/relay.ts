import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import type { ProxyError } from '../http/errors.ts';
import type { Deadlines, Timed } from '../net/deadlines.ts';
import { resetConnection } from '../net/reset.ts';
import { RelayDirection } from './direction.ts';

interface RelayOptions {
  /** Read from the first socket before the relay began. */
  readonly firstBytes: Buffer | undefined;
  /** 0: none. Neither side sent anything for so long. */
  readonly idleTimeoutMs: number;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** KiB a second from the first socket and to it; 0: as fast as it goes. */
  readonly rates?: { readonly requestRate: number; readonly responseRate: number };
  /** Sees what the client sends, until it returns false. */
  readonly watch?: (chunk: Buffer) => boolean;
  /** Called once, when both sides are closed. */
  readonly onEnd: (error: ProxyError | undefined) => void;
}

/** How often it is looked whether bytes went by, in parts of the idle timeout: it is met up to one part late. */
const LOOKS_PER_IDLE_TIMEOUT = 8;

/** Copies bytes between two sockets, both ways. When one side is cut off, so is the other. */
export class Relay implements Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly downstream: Duplex;
  private readonly upstream: Duplex;
  private readonly options: RelayOptions;
  private readonly up: RelayDirection;
  private readonly down: RelayDirection;
  private readonly stepMs: number;
  private error: ProxyError | undefined = undefined;
  private open = 2;
  private seenBytes = 0;
  private quietSinceMs: number;

  constructor(downstream: Duplex, upstream: Duplex, options: RelayOptions) {
    this.downstream = downstream;
    this.upstream = upstream;
    this.options = options;
    this.stepMs = options.idleTimeoutMs / LOOKS_PER_IDLE_TIMEOUT;
    this.quietSinceMs = options.clock.nowMs();
    options.deadlines.add(this);
    if (this.stepMs > 0) options.deadlines.set(this, this.quietSinceMs + this.stepMs);
    this.up = new RelayDirection(downstream, upstream, options.watch);
    this.down = new RelayDirection(upstream, downstream);
    const { rates, clock } = options;
    if (rates !== undefined && rates.requestRate > 0) this.up.slowDown(rates.requestRate, clock);
    if (rates !== undefined && rates.responseRate > 0) this.down.slowDown(rates.responseRate, clock);
    const first = options.firstBytes;
    if (first !== undefined && first.length > 0) this.up.begin(first);
    this.watch(downstream, upstream, 'DC', 'the client');
    this.watch(upstream, downstream, 'UC', 'the upstream');
    upstream.resume();
    downstream.resume();
  }

  get bytesReceived(): number {
    return this.up.bytes;
  }

  get bytesSent(): number {
    return this.down.bytes;
  }

  /** Neither side may go on. */
  end(error: ProxyError): void {
    this.error ??= error;
    this.downstream.destroy();
    this.upstream.destroy();
  }

  onDeadline(nowMs: number): void {
    const bytes = this.up.bytes + this.down.bytes;
    const { idleTimeoutMs, deadlines } = this.options;
    if (bytes !== this.seenBytes) {
      this.seenBytes = bytes;
      this.quietSinceMs = nowMs;
    } else if (nowMs - this.quietSinceMs >= idleTimeoutMs) {
      this.fail('SI', `no bytes either way for ${idleTimeoutMs} ms`);
      this.downstream.destroy();
      this.upstream.destroy();
      return;
    }
    deadlines.set(this, nowMs + this.stepMs);
  }

  private watch(socket: Duplex, other: Duplex, flag: 'DC' | 'UC', who: string): void {
    let reset = false;
    const onClose = (): void => {
      // Cut off before it said that it was done: what the other side still sends has no receiver.
      if (!socket.readableEnded || !socket.writableFinished) {
        if (!other.destroyed) this.fail(flag, `${who} ${reset ? 'reset the connection' : 'broke the connection off'}`);
        resetConnection(other);
      }
      this.open--;
      if (this.open > 0) return;
      this.options.deadlines.remove(this);
      this.options.onEnd(this.error);
    };
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reset = error.code === 'ECONNRESET';
    });
    if (socket.closed) process.nextTick(onClose);
    else socket.on('close', onClose);
  }

  private fail(flag: ProxyError['flag'], detail: string): void {
    this.error ??= { source: flag === 'UC' ? 'upstream' : 'downstream', flag, status: 0, retry: 'no', detail };
  }
}
