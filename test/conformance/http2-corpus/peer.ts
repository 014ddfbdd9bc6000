/** One end of an HTTP/2 connection whose frames a test writes and reads as they are. */
import type { Duplex } from 'node:stream';
import { HpackDecoder } from '../../../sidecar/http/h2/hpack/decoder.ts';
import type { Field } from '../../../sidecar/http/h2/hpack/field.ts';
import { FLAG, frame, PREFACE, SETTINGS_ACK, settings, TYPE } from './wire.ts';

const WAIT_MS = 5_000;

/** What came in one direction of a stream. */
export class StreamRead {
  /** Header blocks, in order. */
  readonly heads: (readonly (readonly [name: string, value: string])[])[] = [];
  body: Buffer[] = [];
  bodyBytes = 0;
  ended = false;
  resetCode: number | undefined = undefined;

  get(name: string, head = 0): string | undefined {
    return this.heads[head]?.find(([other]) => other === name)?.[1];
  }

  get text(): string {
    return Buffer.concat(this.body).toString('latin1');
  }

  /** Of the last head that is no interim one. */
  get status(): number {
    for (const head of this.heads) {
      const status = Number(head.find(([name]) => name === ':status')?.[1] ?? 0);
      if (status >= 200) return status;
    }
    return 0;
  }

  get interims(): readonly number[] {
    return this.heads
      .map((head) => Number(head.find(([name]) => name === ':status')?.[1] ?? 0))
      .filter((status) => status > 0 && status < 200);
  }
}

export interface PeerOptions {
  readonly side: 'client' | 'server';
  /** Sent first of all; by default a plain SETTINGS. */
  readonly hello?: Buffer;
  /** Contents are kept; otherwise only counted. */
  readonly keeps?: boolean;
  /** Answers PING and SETTINGS, and gives credit back. */
  readonly polite?: boolean;
  onStream?(id: number, peer: RawHttp2): void;
  onData?(id: number, chunk: Buffer, peer: RawHttp2): void;
  onEnd?(id: number, peer: RawHttp2): void;
  onReset?(id: number, code: number, peer: RawHttp2): void;
}

export class RawHttp2 {
  readonly streams = new Map<number, StreamRead>();
  readonly stream: Duplex;
  goawayCode: number | undefined = undefined;
  goawayLastId = 0;
  goawayText = '';
  ended = false;
  framesRead = 0;
  settingsAcked = 0;
  pingsAnswered = 0;
  /** The end of what the last answered PING said. */
  lastPong = 0;
  /** WINDOW_UPDATE came. */
  onCredit: ((id: number, bytes: number) => void) | undefined = undefined;
  private readonly options: PeerOptions;
  private readonly decoder = new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 1 << 20, keepsCase: true });
  private rest: Buffer = Buffer.alloc(0);
  private prefaceLeft: number;
  private wake: (() => void) | undefined = undefined;
  private block: Buffer[] = [];

  constructor(stream: Duplex, options: PeerOptions) {
    this.stream = stream;
    this.options = options;
    this.prefaceLeft = options.side === 'server' ? PREFACE.length : 0;
    stream.on('data', (chunk: Buffer) => this.read(chunk));
    stream.on('error', () => undefined);
    const end = (): void => {
      this.ended = true;
      if (!stream.writableEnded) stream.end();
      this.wake?.();
    };
    stream.on('end', end);
    stream.on('close', end);
    if (options.side === 'client') this.send(Buffer.from(PREFACE));
    this.send(options.hello ?? settings());
  }

  send(...parts: readonly Buffer[]): boolean {
    if (this.stream.destroyed || this.stream.writableEnded) return true;
    return this.stream.write(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts));
  }

  of(id: number): StreamRead {
    let stream = this.streams.get(id);
    if (stream === undefined) {
      stream = new StreamRead();
      this.streams.set(id, stream);
    }
    return stream;
  }

  close(): void {
    this.stream.destroy();
  }

  /** Until it is so, or can no longer become so; says whether it is. */
  until(holds: () => boolean, timeoutMs = WAIT_MS): Promise<boolean> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.wake = undefined;
        resolve(holds());
      };
      const timer = setTimeout(done, timeoutMs);
      this.wake = () => {
        if (holds() || this.ended) done();
      };
      this.wake();
    });
  }

  private read(chunk: Buffer): void {
    const skipped = Math.min(this.prefaceLeft, chunk.length);
    this.prefaceLeft -= skipped;
    let bytes = chunk.subarray(skipped);
    if (this.rest.length > 0) bytes = Buffer.concat([this.rest, bytes]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const end = at + 9 + bytes.readUIntBE(at, 3);
      if (bytes.length < end) break;
      const id = bytes.readUInt32BE(at + 5) & 0x7fffffff;
      this.frame(bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, id, bytes.subarray(at + 9, end));
      at = end;
    }
    this.rest = at === 0 ? bytes : Buffer.from(bytes.subarray(at));
    this.wake?.();
  }

  private frame(type: number, flags: number, id: number, payload: Buffer): void {
    this.framesRead++;
    const polite = this.options.polite !== false;
    switch (type) {
      case TYPE.HEADERS:
      case TYPE.CONTINUATION:
        this.block.push(payload);
        if (type === TYPE.HEADERS && (flags & FLAG.END_STREAM) !== 0) this.endsAfterBlock = true;
        if ((flags & FLAG.END_HEADERS) !== 0) this.head(id);
        return;
      case TYPE.DATA:
        this.content(id, flags, payload, polite);
        return;
      case TYPE.RST_STREAM:
        this.of(id).resetCode = payload.readUInt32BE(0);
        this.options.onReset?.(id, payload.readUInt32BE(0), this);
        return;
      case TYPE.GOAWAY:
        this.goawayLastId = payload.readUInt32BE(0);
        this.goawayCode = payload.readUInt32BE(4);
        this.goawayText = payload.toString('latin1', 8);
        return;
      case TYPE.SETTINGS:
        if ((flags & FLAG.ACK) !== 0) this.settingsAcked++;
        else if (polite) this.send(SETTINGS_ACK);
        return;
      case TYPE.PING:
        if ((flags & FLAG.ACK) !== 0) {
          this.pingsAnswered++;
          this.lastPong = payload.readUInt32BE(4);
        } else if (polite) this.send(frame(TYPE.PING, FLAG.ACK, 0, payload));
        return;
      case TYPE.WINDOW_UPDATE:
        this.onCredit?.(id, payload.readUInt32BE(0));
    }
  }

  private endsAfterBlock = false;

  private head(id: number): void {
    const whole = Buffer.concat(this.block);
    this.block = [];
    const fields: [string, string][] = [];
    this.decoder.decode(whole, 0, whole.length, {
      field: ({ name, value }: Field) => fields.push([name, value]),
    });
    const stream = this.of(id);
    stream.heads.push(fields);
    if (stream.heads.length === 1) this.options.onStream?.(id, this);
    if (!this.endsAfterBlock) return;
    this.endsAfterBlock = false;
    stream.ended = true;
    this.options.onEnd?.(id, this);
  }

  private content(id: number, flags: number, payload: Buffer, polite: boolean): void {
    const stream = this.of(id);
    stream.bodyBytes += payload.length;
    if (this.options.keeps !== false) stream.body.push(payload);
    this.options.onData?.(id, payload, this);
    const ends = (flags & FLAG.END_STREAM) !== 0;
    if (polite && payload.length > 0) {
      const increment = Buffer.alloc(4);
      increment.writeUInt32BE(payload.length);
      this.send(frame(TYPE.WINDOW_UPDATE, 0, 0, increment));
      if (!ends && stream.resetCode === undefined) this.send(frame(TYPE.WINDOW_UPDATE, 0, id, increment));
    }
    if (!ends) return;
    stream.ended = true;
    this.options.onEnd?.(id, this);
  }
}
