import type { Socket } from 'node:net';
import type { Deadlines, Timed } from '../net/deadlines.ts';
import { type Detection, detect, leaning, OPAQUE } from './detect.ts';
import type { EarlyUpstream } from './early-upstream.ts';

export interface FirstWordsOptions {
  readonly deadlines: Deadlines;
  readonly nowMs: () => number;
  /** Read before. */
  readonly bytes: Buffer | undefined;
  /** Opens the connection that opaque bytes would take; undefined where there is none, or it would not be allowed. */
  readonly dial: (() => EarlyUpstream) | undefined;
  /** The server of this port is known to speak first. */
  readonly serverFirst: boolean;
  /** How long a server that has spoken is kept waiting for a client that may be about to begin TLS of the mesh. */
  readonly holdMs: () => number;
  /** How long both may be silent before that is counted; and without `dial`, how long the client is waited for. */
  readonly silenceMs: number;
  /** How long a beginning of TLS or of HTTP is waited for. */
  readonly beginningMs: number;
  /** How long both may be silent; Infinity: as long as they like. */
  readonly idleMs: number;
  /** Whoever has not said in `silenceMs` what it is about is given up. */
  readonly closes: boolean;
  readonly onSilence: () => void;
}

/** `nobody`: the time-out came, or the server is gone. `idle`: both stayed silent for too long. `late`: to be closed. */
type Speaker = 'client' | 'server' | 'nobody' | 'idle' | 'late';

export interface FirstWords {
  readonly detection: Detection;
  /** All that was read of the client; undefined if nothing. */
  readonly bytes: Buffer | undefined;
  readonly speaker: Speaker;
  /** Owned by whoever gets this. */
  readonly early: EarlyUpstream | undefined;
}

/** A client that speaks first does so together with the end of the TCP handshake; who is silent for longer waits for its server. */
const GRACE_MS = 20;

/** Who speaks first on a connection, and what. Calls back once, with the socket paused; not if the client has closed. */
export function awaitFirstWords(socket: Socket, options: FirstWordsOptions, done: (words: FirstWords) => void): void {
  new Listening(socket, options, done).start();
}

class Listening implements Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly socket: Socket;
  private readonly options: FirstWordsOptions;
  private readonly done: (words: FirstWords) => void;
  private readonly startMs: number;
  private bytes: Buffer | undefined;
  private early: EarlyUpstream | undefined = undefined;
  private state: 'grace' | 'silence' | 'idle' | 'held' | 'beginning' = 'silence';
  /** When the first bytes came, after the start. */
  private beganMs = 0;
  private over = false;

  constructor(socket: Socket, options: FirstWordsOptions, done: (words: FirstWords) => void) {
    this.socket = socket;
    this.options = options;
    this.done = done;
    this.startMs = options.nowMs();
    this.bytes = options.bytes;
  }

  start(): void {
    const { socket, options } = this;
    options.deadlines.add(this);
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('close', this.onClose);
    if (this.bytes !== undefined) this.look(this.bytes);
    else if (options.dial === undefined) this.enter('silence', options.silenceMs);
    else if (options.serverFirst) this.dial(options.dial);
    else this.enter('grace', Math.min(GRACE_MS, options.silenceMs));
    if (!this.over) socket.resume();
  }

  onDeadline(): void {
    const { dial, idleMs, closes, onSilence } = this.options;
    switch (this.state) {
      case 'grace':
        if (dial !== undefined) this.dial(dial);
        return;
      case 'silence':
        onSilence();
        if (closes) this.finish(OPAQUE, 'late');
        else if (dial === undefined || this.early?.gone === true) this.finish(OPAQUE, 'nobody');
        else this.enter('idle', idleMs);
        return;
      case 'held':
        this.finish(OPAQUE, this.early?.spoke === true ? 'server' : 'nobody');
        return;
      case 'beginning':
        if (closes) this.finish(OPAQUE, 'late');
        else this.finish(leaning(this.bytes) === 'http' ? { kind: 'http1', version: 'http/1.1' } : OPAQUE, 'client');
        return;
      case 'idle':
        this.finish(OPAQUE, 'idle');
        return;
    }
  }

  private enter(state: Listening['state'], afterMs: number): void {
    this.state = state;
    this.options.deadlines.set(this, this.startMs + afterMs);
  }

  private dial(dial: () => EarlyUpstream): void {
    this.enter('silence', this.options.silenceMs);
    const early = dial();
    this.early = early;
    early.onChange = () => this.onServer();
    if (early.gone) this.onServer();
  }

  private onServer(): void {
    if (this.over || this.early === undefined) return;
    if (this.state === 'beginning') {
      // TLS says what it is for itself, and only its name and protocol tell whose it is.
      if (this.early.spoke && leaning(this.bytes) !== 'tls') this.finish(OPAQUE, 'server');
      return;
    }
    // A server that is gone has said nothing about the port, unless it is known to be the one that speaks.
    if (this.early.spoke || this.options.serverFirst) {
      if (this.options.nowMs() - this.startMs >= this.options.holdMs()) {
        this.finish(OPAQUE, this.early.spoke ? 'server' : 'nobody');
      } else {
        this.enter('held', this.options.holdMs());
      }
    } else if (this.state === 'idle') this.finish(OPAQUE, 'nobody');
  }

  private readonly onData = (chunk: Buffer): void => this.look(chunk);

  private look(chunk: Buffer): void {
    const first = this.state !== 'beginning';
    this.bytes = first || this.bytes === undefined ? chunk : Buffer.concat([this.bytes, chunk]);
    const detection = detect(this.bytes);
    if (detection !== 'more') {
      this.finish(detection, 'client');
      return;
    }
    const leans = leaning(this.bytes);
    if (leans !== 'tls' && this.early?.spoke === true) {
      this.finish(OPAQUE, 'server');
      return;
    }
    const { nowMs, beginningMs, silenceMs, closes } = this.options;
    if (closes) {
      this.enter('beginning', silenceMs);
      return;
    }
    if (first) this.beganMs = nowMs() - this.startMs;
    this.enter('beginning', this.beganMs + (leans === 'unknown' ? Math.min(silenceMs, beginningMs) : beginningMs));
  }

  private readonly onEnd = (): void => this.finish(OPAQUE, 'client');

  private readonly onClose = (): void => {
    this.over = true;
    this.options.deadlines.remove(this);
    this.early?.close();
  };

  private finish(detection: Detection, speaker: Speaker): void {
    if (this.over) return;
    this.over = true;
    const { socket, early, bytes } = this;
    socket.pause();
    socket.removeListener('data', this.onData);
    socket.removeListener('end', this.onEnd);
    socket.removeListener('close', this.onClose);
    this.options.deadlines.remove(this);
    if (early !== undefined) early.onChange = () => undefined;
    this.done({ detection, bytes, speaker, early });
  }
}
