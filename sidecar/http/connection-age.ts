import type { Duplex } from 'node:stream';
import type { Clock } from '@weft/policies/kit/clock';
import type { HttpLimits } from '@weft/policies/model/listener';
import { type Deadlines, deadlinesOf, type Timed } from '../net/deadlines.ts';
import type { HttpServerConnection } from './server.ts';

/**
 * Ends a connection of a certain age without losing a request (Envoy's max_connection_duration): it says with its next
 * response, or by GOAWAY, that it is the last, and closes when it is still idle after the drain timeout.
 */
export class ConnectionAge implements Timed {
  deadlineMs: number;
  private readonly server: HttpServerConnection;
  private readonly drainTimeoutMs: number;
  private readonly deadlines: Deadlines;
  private retired = false;

  constructor(socket: Duplex, server: HttpServerConnection, limits: HttpLimits, clock: Clock) {
    this.server = server;
    this.drainTimeoutMs = limits.drainTimeoutMs;
    this.deadlines = deadlinesOf(clock);
    this.deadlineMs = clock.nowMs() + limits.connectionDurationMsMax;
    this.deadlines.add(this);
    socket.once('close', () => this.deadlines.remove(this));
  }

  onDeadline(nowMs: number): void {
    if (this.retired) {
      this.server.drain();
      return;
    }
    this.retired = true;
    this.server.retire();
    this.deadlines.set(this, nowMs + this.drainTimeoutMs);
  }
}
