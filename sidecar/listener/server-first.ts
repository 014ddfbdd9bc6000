import type { Clock } from '@weft/policies/kit/clock';
import type { SocketAddress } from '@weft/policies/model/address';
import { hostPort } from '../net/connection-record.ts';

const PORTS_MAX = 1_024;
const REMEMBERED_MS = 600_000;

/**
 * Destinations whose server was seen to speak before its client: the next connection to one is dialled at once. Bounded,
 * the one that was seen longest ago goes first; each is forgotten after a while, or when a client there asks for HTTP.
 */
export class ServerFirstPorts {
  private readonly clock: Clock;
  /** Until when, in the order of when each was seen last. */
  private readonly untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  has({ ip, port }: SocketAddress): boolean {
    if (this.untilMs.size === 0) return false;
    const key = hostPort(ip, port);
    const until = this.untilMs.get(key);
    if (until === undefined || until > this.clock.nowMs()) return until !== undefined;
    this.untilMs.delete(key);
    return false;
  }

  add({ ip, port }: SocketAddress): void {
    const key = hostPort(ip, port);
    this.untilMs.delete(key);
    if (this.untilMs.size >= PORTS_MAX) {
      for (const oldest of this.untilMs.keys()) {
        this.untilMs.delete(oldest);
        break;
      }
    }
    this.untilMs.set(key, this.clock.nowMs() + REMEMBERED_MS);
  }

  forget({ ip, port }: SocketAddress): void {
    if (this.untilMs.size > 0) this.untilMs.delete(hostPort(ip, port));
  }
}
