import type { Clock } from '@weft/policies/kit/clock';
import type { PeerCertificateInfo } from './connection.ts';

export interface ResumableSession {
  readonly session: Buffer;
  /** Who was verified when it was made: a resumed handshake shows no certificate, but proves the same key. */
  readonly peer: PeerCertificateInfo;
}

const SESSIONS_MAX = 1_024;
/** Of one peer: each serves one connection, and several may be opened before the first brings another. */
const SESSIONS_OF_ONE_MAX = 16;

/** Sessions of peers that were verified, for their next connections. The key holds all that the verification stood on. */
export class SessionCache {
  private readonly clock: Clock;
  /** By who came least recently. */
  private readonly sessions = new Map<string, ResumableSession[]>();
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.count;
  }

  /**
   * The newest, if its peer's certificate is still valid. RFC 8446 appendix C.4: a ticket is used once; the next handshake
   * brings new ones.
   */
  take(key: string): ResumableSession | undefined {
    const known = this.sessions.get(key);
    const newest = known?.pop();
    if (known === undefined || newest === undefined) return undefined;
    this.count--;
    if (newest.peer.notAfterUnixMs <= this.clock.unixMs()) {
      this.forget(key, known);
      return undefined;
    }
    if (known.length === 0) this.sessions.delete(key);
    return newest;
  }

  keep(key: string, session: ResumableSession): void {
    const known = this.sessions.get(key) ?? [];
    // A certificate that was renewed meanwhile proves another key.
    if (known[0] !== undefined && known[0].peer.fingerprint !== session.peer.fingerprint) this.forget(key, known);
    this.sessions.delete(key);
    this.sessions.set(key, known);
    known.push(session);
    this.count++;
    if (known.length > SESSIONS_OF_ONE_MAX) {
      known.shift();
      this.count--;
    }
    for (const [oldest, others] of this.sessions) {
      if (this.count <= SESSIONS_MAX) break;
      this.forget(oldest, others);
    }
  }

  private forget(key: string, known: ResumableSession[]): void {
    this.count -= known.length;
    known.length = 0;
    this.sessions.delete(key);
  }
}
