import type { HttpLimits } from '@weft/policies/model/listener';
import type { ProxyError } from '../errors.ts';
import { type H2Error, h2Error } from './h2-error.ts';
import { ServerStream } from './server-stream.ts';
import type { Session } from './session.ts';

/** When no limit is set for heads, SETTINGS are still not waited for for ever. */
const SETTINGS_TIMEOUT_MS = 60_000;
const NEVER = Number.POSITIVE_INFINITY;

interface Late {
  readonly stream: ServerStream;
  readonly event: string;
  readonly error: ProxyError;
}

function timeoutError(status: number, flag: 'DT' | 'SI', detail: string): ProxyError {
  return { source: 'downstream', flag, status, retry: 'no', detail };
}

/** What a server's connection has to be done with by when. Looked at when the earliest of it may be due. */
export class ServerTimes {
  /** Streams that `check` found to be late. */
  readonly late: Late[] = [];
  private readonly session: Session;
  private readonly limits: HttpLimits;
  private readonly openedMs: number;
  private readonly streamTimeoutMs: number;
  /** A frame or header block is under way since then. */
  private incompleteMs = NEVER;
  /** The socket takes no more since then. */
  private fullMs = NEVER;
  /** No streams since then. */
  private idleMs: number;
  /** No stream is late before that. */
  private streamsMs = NEVER;
  private pingSentMs = NEVER;

  constructor(session: Session, limits: HttpLimits) {
    this.session = session;
    this.limits = limits;
    this.openedMs = session.nowMs;
    this.idleMs = session.nowMs;
    this.streamTimeoutMs = Math.min(timeout(limits.streamIdleTimeoutMs), timeout(limits.requestTimeoutMs));
  }

  /** Something that `next` depends on is not as it was when it was asked. */
  get changed(): boolean {
    const { session } = this;
    if (session.incomplete !== (this.incompleteMs !== NEVER)) return true;
    if (session.output.full !== (this.fullMs !== NEVER)) return true;
    return (session.streams.size === 0) !== (this.idleMs !== NEVER);
  }

  /** A PING is out, and nothing came since. */
  get waitsForPong(): boolean {
    return this.pingSentMs !== NEVER && this.session.receivedMs < this.pingSentMs;
  }

  /** When to look again. */
  next(waitsForPreface: boolean): number {
    const { session, limits } = this;
    const { nowMs } = session;
    let atMs = NEVER;
    if (waitsForPreface || !session.settingsSeen) atMs = this.openedMs + this.settingsTimeoutMs;
    else if (!session.settingsAcked) atMs = this.openedMs + SETTINGS_TIMEOUT_MS;
    this.incompleteMs = session.incomplete ? Math.min(this.incompleteMs, nowMs) : NEVER;
    this.fullMs = session.output.full ? Math.min(this.fullMs, nowMs) : NEVER;
    atMs = Math.min(
      atMs,
      this.nextPing(),
      this.incompleteMs + timeout(limits.headTimeoutMs),
      this.fullMs + timeout(limits.streamIdleTimeoutMs),
    );
    if (session.streams.size === 0) {
      this.idleMs = Math.min(this.idleMs, nowMs);
      return Math.min(atMs, this.idleMs + timeout(limits.idleTimeoutMs));
    }
    this.idleMs = NEVER;
    // A stream that is opened later is late later than this, too.
    this.streamsMs = Math.min(this.streamsMs, nowMs + this.streamTimeoutMs);
    return Math.min(atMs, this.streamsMs);
  }

  private nextPing(): number {
    const { keepAlive } = this.limits.http2;
    if (keepAlive === undefined) return NEVER;
    if (this.waitsForPong) return this.pingSentMs + keepAlive.timeoutMs;
    return this.session.receivedMs + keepAlive.intervalMs;
  }

  /** Whether to ask the peer if it is there; `silent`: it was asked. */
  private checkPing(nowMs: number): 'ping' | 'silent' | undefined {
    const { keepAlive } = this.limits.http2;
    if (keepAlive === undefined) return undefined;
    if (this.waitsForPong) return nowMs >= this.pingSentMs + keepAlive.timeoutMs ? 'silent' : undefined;
    this.pingSentMs = NEVER;
    if (nowMs < this.session.receivedMs + keepAlive.intervalMs) return undefined;
    // Whole, and after what was received, as the session counts.
    this.pingSentMs = Math.max(Math.floor(nowMs), this.session.receivedMs + 1);
    return 'ping';
  }

  /** `stuck`: the socket has taken nothing for too long. */
  check(nowMs: number, waitsForPreface: boolean): H2Error | 'idle' | 'stuck' | 'ping' | 'silent' | undefined {
    const { session, limits } = this;
    if ((waitsForPreface || !session.settingsSeen) && nowMs >= this.openedMs + this.settingsTimeoutMs) {
      return h2Error('head-timeout', 'no preface and SETTINGS in time');
    }
    if (!session.settingsAcked && nowMs >= this.openedMs + SETTINGS_TIMEOUT_MS) {
      return h2Error('settings-timeout', 'SETTINGS were not acknowledged in time');
    }
    if (session.incomplete && nowMs >= this.incompleteMs + timeout(limits.headTimeoutMs)) {
      return h2Error('head-timeout', 'a frame or header block was not complete in time');
    }
    if (session.output.full && nowMs >= this.fullMs + timeout(limits.streamIdleTimeoutMs)) return 'stuck';
    if (session.streams.size > 0) this.checkStreams(nowMs);
    else if (nowMs >= this.idleMs + timeout(limits.idleTimeoutMs)) return 'idle';
    return this.checkPing(nowMs);
  }

  private checkStreams(nowMs: number): void {
    if (nowMs < this.streamsMs) return;
    this.streamsMs = nowMs + this.streamTimeoutMs;
    for (const stream of this.session.streams.values()) {
      if (!(stream instanceof ServerStream)) continue;
      const dueMs = this.dueMs(stream);
      if (dueMs <= nowMs) this.late.push(this.lateness(stream, nowMs));
      else if (dueMs < this.streamsMs) this.streamsMs = dueMs;
    }
  }

  private dueMs(stream: ServerStream): number {
    const idleAtMs = stream.activeMs + timeout(stream.idleTimeoutMs);
    if (!stream.waitsForRequest) return idleAtMs;
    return Math.min(idleAtMs, stream.startMs + timeout(this.limits.requestTimeoutMs));
  }

  private lateness(stream: ServerStream, nowMs: number): Late {
    if (stream.waitsForRequest && nowMs >= stream.startMs + timeout(this.limits.requestTimeoutMs)) {
      const error = timeoutError(408, 'DT', 'the request was not complete in time');
      return { stream, event: 'http2_request_timeout', error };
    }
    if (stream.waitsToSend) {
      const error = timeoutError(504, 'SI', 'the client opened no window for too long');
      return { stream, event: 'http2_window_stalled', error };
    }
    const error = timeoutError(stream.remoteEnded ? 504 : 408, 'SI', 'nothing was sent or received for too long');
    return { stream, event: 'http2_stream_idle_timeout', error };
  }

  private get settingsTimeoutMs(): number {
    return this.limits.headTimeoutMs === 0 ? SETTINGS_TIMEOUT_MS : this.limits.headTimeoutMs;
  }
}

function timeout(timeoutMs: number): number {
  return timeoutMs === 0 ? NEVER : timeoutMs;
}
