/**
 * How many connections port 15012 has open, in all and of one source: each costs a descriptor, memory and a handshake
 * before anybody has shown a credential.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { SourceShares } from '@weft/policies/kit/shares';
import type { ListenAddress } from '../config.ts';

export interface ConnectionLimits {
  readonly connectionsMax: number;
  /** Of one address; a /64 of IPv6 has twice as many. */
  readonly connectionsPerAddressMax: number;
  /** One without a call ends after this time: whoever is served has his stream, and the others come back. */
  readonly idleMsMax: number;
}

export interface ConnectionCounters {
  open: number;
  refusedTotal: number;
  refusedAddress: number;
}

/** The least that is logged of refusals: a flood is not to become one of the log. */
const LOG_EVERY_MS = 10_000;

export class ConnectionGate {
  readonly limits: ConnectionLimits;
  private readonly counters: ConnectionCounters;
  private readonly nowMs: () => number;
  private readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
  private readonly sources: SourceShares;
  private loggedMs = Number.NEGATIVE_INFINITY;

  constructor(
    limits: ConnectionLimits,
    counters: ConnectionCounters,
    nowMs: () => number,
    log: (event: string, fields: Readonly<Record<string, unknown>>) => void,
  ) {
    this.limits = limits;
    this.sources = new SourceShares({ all: limits.connectionsMax, ofAddress: limits.connectionsPerAddressMax });
    this.counters = counters;
    this.nowMs = nowMs;
    this.log = log;
  }

  /** False: it is closed, and nothing was read of it. */
  admit(socket: Socket): boolean {
    const source = socket.remoteAddress ?? '';
    const { connectionsMax, connectionsPerAddressMax } = this.limits;
    const isFull = this.counters.open >= connectionsMax;
    if (isFull || !this.sources.hold(source, socket)) {
      this.counters[isFull ? 'refusedTotal' : 'refusedAddress'] += 1;
      this.tell(source, isFull ? connectionsMax : connectionsPerAddressMax);
      socket.resetAndDestroy();
      return false;
    }
    this.counters.open += 1;
    socket.once('close', () => {
      this.counters.open -= 1;
    });
    return true;
  }

  private tell(source: string, limit: number): void {
    const nowMs = this.nowMs();
    if (nowMs - this.loggedMs < LOG_EVERY_MS) return;
    this.loggedMs = nowMs;
    const { open, refusedTotal, refusedAddress } = this.counters;
    this.log('connections refused', { source, limit, open, refused: refusedTotal + refusedAddress });
  }
}

/** Hands those that are admitted on to `take`. */
export async function listenThrough(
  gate: ConnectionGate,
  address: ListenAddress,
  take: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => {
    // Of one that breaks before its handshake nobody else hears.
    socket.on('error', () => undefined);
    if (gate.admit(socket)) take(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve());
  });
  return server;
}
