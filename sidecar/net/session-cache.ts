import type { Clock } from '@weft/policies/kit/clock';
import type { PeerCertificateInfo } from './connection.ts';

export interface ResumableSession {
  readonly session: Buffer;
  /** Who was verified when it was made: a resumed handshake shows no certificate, but proves the same key. */
  readonly peer: PeerCertificateInfo;
}

const SESSIONS_MAX = 1_024;

/**
 * The newest session of each peer that was verified, for its next connections. The key holds all that the verification
 * stood on.
 *
 * A session serves until its server no longer takes it, which ends within its lifetime: a handshake that resumes brings no
 * new one. RFC 8446 appendix C.4 advises against that lest somebody on the path sees that two connections are one
 * client's; those of a sidecar show that by their address.
 */
export class SessionCache {
  private readonly clock: Clock;
  /** The oldest first. */
  private readonly sessions = new Map<string, ResumableSession>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.sessions.size;
  }

  /** If its peer's certificate is still valid. */
  find(key: string): ResumableSession | undefined {
    const found = this.sessions.get(key);
    if (found === undefined || found.peer.notAfterUnixMs > this.clock.unixMs()) return found;
    this.sessions.delete(key);
    return undefined;
  }

  keep(key: string, session: ResumableSession): void {
    this.sessions.delete(key);
    if (this.sessions.size >= SESSIONS_MAX) {
      for (const oldest of this.sessions.keys()) {
        this.sessions.delete(oldest);
        break;
      }
    }
    this.sessions.set(key, session);
  }

  /** One that a connection failed with: a server that does not fall back would fail the next one too. */
  drop(key: string, session: ResumableSession): void {
    if (this.sessions.get(key) === session) this.sessions.delete(key);
  }
}
