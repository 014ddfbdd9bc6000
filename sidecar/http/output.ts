import type { Duplex } from 'node:stream';
import { FirstOctets } from '../net/first-octets.ts';
import { atEndOfTurn } from '../net/turn.ts';
import { SocketWriter } from '../net/write.ts';

/** Up to this size parts are copied into one buffer: cheaper than a vectored write, and one TLS record or segment run. */
const COPY_BYTES_MAX = 32_768;
/** Beyond this, what is collected leaves before the end of the turn. */
const PENDING_BYTES_MAX = 65_536;

/** Where parts are joined; another takes its place when a write keeps it. */
let joint: FirstOctets | undefined;

/**
 * Collects what one turn of the event loop writes to a socket, and hands it over as one write when the turn ends: the
 * head and first body bytes of a message, or several small messages, are one buffer.
 */
export class Output {
  private readonly socket: Duplex;
  private readonly writer: SocketWriter;
  private readonly onFlushed: () => void;
  private readonly parts: (string | Buffer)[] = [];
  private pendingBytes = 0;
  private queued = false;
  private readonly flushNow = (): void => this.flush();

  constructor(socket: Duplex, onFlushed: () => void) {
    this.socket = socket;
    this.writer = new SocketWriter(socket);
    this.onFlushed = onFlushed;
  }

  /** Octets as Latin-1. */
  text(text: string): void {
    const parts = this.parts;
    const last = parts.length - 1;
    // Not `parts[-1]`: that is a name, which the runtime makes a text of and looks up.
    const tail = last < 0 ? undefined : parts[last];
    if (typeof tail === 'string') parts[last] = tail + text;
    else parts.push(text);
    this.added(text.length);
  }

  data(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.parts.push(chunk);
    this.added(chunk.length);
  }

  /** Asks for `onFlushed` at the end of the turn, also when nothing is written. */
  schedule(): void {
    if (this.queued) return;
    this.queued = true;
    atEndOfTurn(this.flushNow);
  }

  /** Nothing can be written any more. */
  get shut(): boolean {
    return this.writer.shut;
  }

  /** The socket holds more than it should: produce no more until it drains. */
  get full(): boolean {
    return this.writer.full;
  }

  discard(): void {
    this.parts.length = 0;
    this.pendingBytes = 0;
  }

  flush(): void {
    this.queued = false;
    this.writeParts();
    this.onFlushed();
  }

  /** For what has to leave before the socket is ended. */
  writeNow(): void {
    this.writeParts();
  }

  private added(bytes: number): void {
    this.pendingBytes += bytes;
    this.schedule();
    if (this.pendingBytes >= PENDING_BYTES_MAX) this.writeParts();
  }

  private writeParts(): void {
    const parts = this.parts;
    const count = parts.length;
    if (count === 0) return;
    const first = parts[0];
    if (this.writer.shut || first === undefined) {
      this.discard();
      return;
    }
    if (count === 1) {
      if (typeof first === 'string') this.writer.text(first);
      else this.writer.give(first);
    } else if (this.pendingBytes <= COPY_BYTES_MAX) {
      this.writeJoined();
    } else {
      const { socket } = this;
      socket.cork();
      for (const part of parts) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part);
      socket.uncork();
    }
    for (let i = 0; i < count; i++) parts.pop();
    this.pendingBytes = 0;
  }

  private writeJoined(): void {
    joint ??= new FirstOctets(Buffer.allocUnsafeSlow(COPY_BYTES_MAX));
    const { bytes } = joint;
    let at = 0;
    for (const part of this.parts) {
      at += typeof part === 'string' ? bytes.write(part, at, 'latin1') : part.copy(bytes, at);
    }
    if (!this.writer.lend(joint.of(at))) joint = undefined;
  }
}
