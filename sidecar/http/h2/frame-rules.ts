import * as F from './frames.ts';
import { type H2Error, h2Error } from './h2-error.ts';
import type { Session } from './session.ts';
import { SETTING_BYTES } from './settings.ts';
import type { H2Stream } from './stream.ts';

/** Answers to PING and SETTINGS while the peer does not read. */
const REPLIES_WHILE_FULL_MAX = 128;

/** What each type of frame does to a connection (RFC 9113 section 6), and what it may not be. */
export class FrameRules {
  private readonly session: Session;
  private framesReceived = 0;
  private repliesWhileFull = 0;

  constructor(session: Session) {
    this.session = session;
  }

  /** Frames with content, both ways: what an amount of other frames is measured against. */
  private get work(): number {
    return this.framesReceived + this.session.scheduler.framesSent;
  }

  /** The error of the connection, if there is one. */
  handle(type: number, flags: number, id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (this.session.block.stream !== 0 && (type !== F.CONTINUATION || id !== this.session.block.stream)) {
      return h2Error('continuation', 'another frame within a header block');
    }
    if (!this.session.settingsSeen && (type !== F.SETTINGS || (flags & F.FLAG_ACK) !== 0)) {
      return h2Error('preface', 'the first frame is not SETTINGS');
    }
    switch (type) {
      case F.DATA:
        return this.onDataFrame(flags, id, buffer, start, end);
      case F.HEADERS:
        return this.onHeadersFrame(flags, id, buffer, start, end);
      case F.PRIORITY:
        return this.onPriority(id, buffer, start, end);
      case F.RST_STREAM:
        return this.onRstStream(id, buffer, start, end);
      case F.SETTINGS:
        return this.onSettingsFrame(flags, id, buffer, start, end);
      case F.PUSH_PROMISE:
        return h2Error('push', 'PUSH_PROMISE, which was not enabled');
      case F.PING:
        return this.onPing(flags, id, buffer, start, end);
      case F.GOAWAY:
        if (id !== 0) return h2Error('frame-stream', 'GOAWAY on a stream');
        if (end - start < 8) return h2Error('frame-size', 'GOAWAY of less than 8 bytes');
        this.session.owner.onGoaway(F.readUint31(buffer, start), F.readUint32(buffer, start + 4));
        return this.session.guard.onControlFrame(this.work);
      case F.WINDOW_UPDATE:
        return this.onWindowUpdate(id, buffer, start, end);
      case F.CONTINUATION:
        return this.onContinuation(flags, buffer, start, end);
      default:
        return this.session.guard.onControlFrame(this.work);
    }
  }

  private onDataFrame(flags: number, id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id === 0) return h2Error('frame-stream', 'DATA on stream 0');
    const length = end - start;
    // Padding counts like content (RFC 9113 section 6.9.1).
    this.session.receiveWindow -= length;
    if (this.session.receiveWindow < 0) return h2Error('window-exceeded', 'DATA beyond the window of the connection');
    let from = start;
    let to = end;
    if ((flags & F.FLAG_PADDED) !== 0) {
      const padding = buffer[start] ?? 0;
      if (padding >= length) return h2Error('padding', 'padding as long as the frame or longer');
      from++;
      to -= padding;
    }
    const stream = this.session.streams.get(id);
    if (stream === undefined) {
      this.session.creditConnection(length);
      return this.session.onClosedStream(id, true);
    }
    const bytes = to - from;
    const ends = (flags & F.FLAG_END_STREAM) !== 0;
    stream.bytesReceived += length + F.FRAME_HEADER_BYTES;
    stream.receiveWindow -= length;
    stream.unconsumedBytes += length;
    const error = this.dataError(stream, bytes, ends);
    if (error !== undefined) return this.session.streamError(stream, error);
    if (bytes > 0) this.framesReceived++;
    else if (!ends) {
      this.session.returnCredit(stream, length);
      return this.session.guard.onEmptyFrame();
    }
    stream.activeMs = this.session.nowMs;
    if (ends) stream.remoteEnded = true;
    if (length > bytes) this.session.returnCredit(stream, length - bytes);
    stream.onData(buffer === this.session.borrowed ? copyOf(buffer, from, to) : buffer.subarray(from, to), ends);
    return undefined;
  }

  private dataError(stream: H2Stream, bytes: number, ends: boolean): H2Error | undefined {
    if (stream.remoteEnded) return h2Error('half-closed-stream', 'DATA after END_STREAM');
    if (stream.receiveWindow < 0) return h2Error('stream-window-exceeded', 'DATA beyond the window of the stream');
    if (!stream.headSeen) return h2Error('data-before-head', 'DATA before the head of the response');
    if (stream.allowedBytes >= 0) {
      stream.allowedBytes -= bytes;
      if (stream.allowedBytes < 0) return h2Error('content-too-large', 'the content is larger than is taken here');
    }
    if (stream.expectedBytes < 0) return undefined;
    stream.expectedBytes -= bytes;
    if (stream.expectedBytes < 0 || (ends && stream.expectedBytes > 0)) {
      return h2Error('content-length', 'the content is not as long as content-length says');
    }
    return undefined;
  }

  private onHeadersFrame(flags: number, id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id === 0) return h2Error('frame-stream', 'HEADERS on stream 0');
    let from = start;
    let to = end;
    if ((flags & F.FLAG_PADDED) !== 0) {
      if (end === start) return h2Error('frame-size', 'HEADERS without its pad length');
      to -= buffer[from] ?? 0;
      from++;
    }
    let error: H2Error | undefined;
    if ((flags & F.FLAG_PRIORITY) !== 0) {
      if (to - from < 5) return h2Error('frame-size', 'HEADERS without its priority');
      if (F.readUint31(buffer, from) === id) error = h2Error('self-dependency', 'a stream that depends on itself');
      from += 5;
    }
    if (to < from) return h2Error('padding', 'padding longer than the frame');
    const endStream = (flags & F.FLAG_END_STREAM) !== 0;
    if ((flags & F.FLAG_END_HEADERS) !== 0) return this.session.owner.onBlock(id, endStream, buffer, from, to, error);
    this.session.block.begin(id, endStream, error);
    return this.session.block.append(buffer, from, to);
  }

  private onContinuation(flags: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    const { block } = this.session;
    if (block.stream === 0) return h2Error('continuation', 'CONTINUATION without a header block to continue');
    const tooMuch = block.append(buffer, start, end);
    if (tooMuch !== undefined) return tooMuch;
    if ((flags & F.FLAG_END_HEADERS) === 0) return undefined;
    const { stream, endStream, error, bytes } = block;
    const whole = block.buffer;
    block.finish();
    return this.session.owner.onBlock(stream, endStream, whole, 0, bytes, error);
  }

  private onPriority(id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id === 0) return h2Error('frame-stream', 'PRIORITY on stream 0');
    const stream = this.session.streams.get(id);
    let error: H2Error | undefined;
    if (end - start !== 5) error = h2Error('priority-size', 'PRIORITY of other than 5 bytes');
    else if (F.readUint31(buffer, start) === id) error = h2Error('self-dependency', 'a stream that depends on itself');
    if (error === undefined) return this.session.guard.onControlFrame(this.work);
    return stream === undefined ? error : this.session.streamError(stream, error);
  }

  private onRstStream(id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id === 0) return h2Error('frame-stream', 'RST_STREAM on stream 0');
    if (end - start !== 4) return h2Error('frame-size', 'RST_STREAM of other than 4 bytes');
    const stream = this.session.streams.get(id);
    if (stream === undefined) {
      if (this.session.isIdle(id)) return h2Error('idle-stream', 'RST_STREAM on a stream that was not opened');
      return this.session.guard.onControlFrame(this.work);
    }
    const code = F.readUint32(buffer, start);
    this.session.closedStreams.addReset(id, true);
    this.session.close(stream);
    stream.onPeerReset(code);
    return this.session.options.side === 'server' ? this.session.guard.onReset() : undefined;
  }

  private onSettingsFrame(flags: number, id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id !== 0) return h2Error('frame-stream', 'SETTINGS on a stream');
    const length = end - start;
    if ((flags & F.FLAG_ACK) !== 0) {
      if (length !== 0) return h2Error('frame-size', 'an acknowledgement of SETTINGS with content');
      if (!this.session.settingsAcked) this.session.onSettingsAcked();
      return this.session.guard.onControlFrame(this.work);
    }
    if (length % SETTING_BYTES !== 0) return h2Error('frame-size', 'SETTINGS of other than a multiple of 6 bytes');
    const windowBefore = this.session.peer.initialWindowBytes;
    const { encoder, options, peer } = this.session;
    const error = peer.apply(buffer, start, end, options.side === 'client', encoder);
    if (error !== undefined) return error;
    this.session.settingsSeen = true;
    const overflow = this.session.shiftWindows(this.session.peer.initialWindowBytes - windowBefore);
    if (overflow !== undefined) return overflow;
    this.session.output.frame(F.SETTINGS, F.FLAG_ACK, 0, buffer, start, start);
    this.session.owner.onSettings();
    return this.reply() ?? this.session.guard.onControlFrame(this.work);
  }

  private onPing(flags: number, id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (id !== 0) return h2Error('frame-stream', 'PING on a stream');
    if (end - start !== 8) return h2Error('frame-size', 'PING of other than 8 bytes');
    if ((flags & F.FLAG_ACK) !== 0) {
      this.session.owner.onPingAck();
      return this.session.guard.onControlFrame(this.work);
    }
    this.session.output.ping(buffer, start, F.FLAG_ACK);
    return this.reply() ?? this.session.guard.onControlFrame(this.work);
  }

  private reply(): H2Error | undefined {
    if (!this.session.output.full) {
      this.repliesWhileFull = 0;
      return undefined;
    }
    if (++this.repliesWhileFull <= REPLIES_WHILE_FULL_MAX) return undefined;
    return h2Error('reply-flood', 'the peer asks for answers that it does not read');
  }

  private onWindowUpdate(id: number, buffer: Buffer, start: number, end: number): H2Error | undefined {
    if (end - start !== 4) return h2Error('frame-size', 'WINDOW_UPDATE of other than 4 bytes');
    const increment = F.readUint31(buffer, start);
    if (id === 0) {
      if (increment === 0) return h2Error('window-increment', 'WINDOW_UPDATE of 0 bytes');
      this.session.scheduler.window += increment;
      if (this.session.scheduler.window > F.WINDOW_BYTES_MAX) {
        return h2Error('window-overflow', 'WINDOW_UPDATE beyond 2^31-1 bytes');
      }
      this.session.output.schedule();
      return this.session.guard.onWindowUpdate(this.work);
    }
    const stream = this.session.streams.get(id);
    if (stream === undefined) {
      if (this.session.isIdle(id)) return h2Error('idle-stream', 'WINDOW_UPDATE on a stream that was not opened');
      return this.session.guard.onWindowUpdate(this.work);
    }
    if (increment === 0) {
      return this.session.streamError(stream, h2Error('stream-window-increment', 'WINDOW_UPDATE of 0 bytes'));
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > F.WINDOW_BYTES_MAX) {
      return this.session.streamError(stream, h2Error('stream-window-overflow', 'WINDOW_UPDATE beyond 2^31-1 bytes'));
    }
    this.session.scheduler.join(stream);
    return this.session.guard.onWindowUpdate(this.work);
  }
}

function copyOf(bytes: Buffer, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}
