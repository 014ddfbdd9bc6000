import type { Duplex } from 'node:stream';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits, type HttpLimits } from '@weft/policies/model/listener';
import type { Dispatch, UpstreamConnection } from '../exchange.ts';
import { duplexPair, TestRecorder, testConnection } from '../h1/testing.ts';
import { connectHttp2 } from './client.ts';
import type { Http2ClientOptions } from './client-options.ts';
import * as F from './frames.ts';
import { ByteWriter } from './hpack/byte-writer.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { HpackEncoder } from './hpack/encoder.ts';
import type { Field } from './hpack/field.ts';
import { serveHttp2 } from './server.ts';
import type { Http2ServerConnection, Http2ServerOptions } from './server-options.ts';
import { SETTING_BYTES } from './settings.ts';

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

const NAMES = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
];

export function frame(type: number, flags: number, id: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload);
  const out = Buffer.alloc(F.FRAME_HEADER_BYTES + bytes.length);
  F.putFrameHeader(out, 0, bytes.length, type, flags, id);
  bytes.copy(out, F.FRAME_HEADER_BYTES);
  return out;
}

export function uint32(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    F.putUint32(out, 4 * i, value);
  });
  return out;
}

export function settings(...identifiersAndValues: number[]): Buffer {
  const out = Buffer.alloc((identifiersAndValues.length / 2) * SETTING_BYTES);
  for (let i = 0; i < identifiersAndValues.length; i += 2) {
    out.writeUInt16BE(identifiersAndValues[i] ?? 0, (i / 2) * SETTING_BYTES);
    F.putUint32(out, (i / 2) * SETTING_BYTES + 2, identifiersAndValues[i + 1] ?? 0);
  }
  return frame(F.SETTINGS, 0, 0, out);
}

/** The other end of a connection, whose frames a test writes by hand. */
export class RawPeer {
  readonly frames: Frame[] = [];
  /** Content of DATA by stream. */
  readonly bodies = new Map<number, string>();
  ended = false;
  readonly socket: Duplex;
  readonly encoder: HpackEncoder;
  private readonly decoder: HpackDecoder;
  private rest: Buffer = Buffer.alloc(0);
  private onFrames = (): void => undefined;
  private prefaceLeft: number;

  /** `readsPreface`: this end is the server. */
  constructor(socket: Duplex, keepsCase = false, readsPreface = false) {
    this.socket = socket;
    this.encoder = new HpackEncoder({ tableBytesMax: 4_096, keepsCase });
    this.decoder = new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 1 << 20, keepsCase });
    this.prefaceLeft = readsPreface ? F.PREFACE.length : 0;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('error', () => undefined);
    const end = (): void => {
      this.ended = true;
      this.onFrames();
    };
    socket.on('end', end);
    socket.on('close', end);
  }

  send(...parts: Buffer[]): void {
    if (!this.socket.destroyed && !this.socket.writableEnded) this.socket.write(Buffer.concat(parts));
  }

  block(...namesAndValues: string[]): Buffer {
    const writer = new ByteWriter();
    this.encoder.begin(writer);
    for (let i = 0; i + 1 < namesAndValues.length; i += 2) {
      const name = namesAndValues[i] ?? '';
      this.encoder.field(name, name.toLowerCase(), namesAndValues[i + 1] ?? '', writer);
    }
    return Buffer.from(writer.written());
  }

  headers(id: number, end: boolean, ...namesAndValues: string[]): Buffer {
    const flags = F.FLAG_END_HEADERS | (end ? F.FLAG_END_STREAM : 0);
    return frame(F.HEADERS, flags, id, this.block(...namesAndValues));
  }

  get(id: number, ...more: string[]): Buffer {
    return this.headers(id, true, ...GET, ...more);
  }

  post(id: number, ...more: string[]): Buffer {
    return this.headers(id, false, ':method', 'POST', ...GET.slice(2), ...more);
  }

  data(id: number, content: string | Buffer, end = false): Buffer {
    return frame(F.DATA, end ? F.FLAG_END_STREAM : 0, id, content);
  }

  /** Fields of header blocks, in the order in which they came, as `name: value`. */
  readonly heads: { readonly id: number; readonly end: boolean; readonly fields: string[] }[] = [];

  /** Frames as text: `HEADERS 1 END`, `RST_STREAM 1 PROTOCOL_ERROR`, `GOAWAY NO_ERROR`. */
  get log(): string[] {
    return this.frames.map((it) => {
      const name = NAMES[it.type] ?? `type ${it.type}`;
      if (it.type === F.RST_STREAM) return `${name} ${it.id} ${F.errorCodeName(F.readUint32(it.payload, 0))}`;
      if (it.type === F.GOAWAY) return `${name} ${F.errorCodeName(F.readUint32(it.payload, 4))}`;
      if (it.type === F.SETTINGS || it.type === F.PING) return `${name}${(it.flags & F.FLAG_ACK) === 0 ? '' : ' ACK'}`;
      const ends = (it.type === F.DATA || it.type === F.HEADERS) && (it.flags & F.FLAG_END_STREAM) !== 0;
      return `${name} ${it.id}${ends ? ' END' : ''}`;
    });
  }

  get goaway(): string | undefined {
    return this.log.find((line) => line.startsWith('GOAWAY') && line !== 'GOAWAY NO_ERROR');
  }

  /** Waits until the condition holds, or the connection has ended, or for 2 s. */
  until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.onFrames = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, 2_000);
      this.onFrames = () => {
        if (holds() || this.ended) done();
      };
      this.onFrames();
    });
  }

  async untilLog(line: string): Promise<string[]> {
    await this.until(() => this.log.includes(line));
    return this.log;
  }

  private read(chunk: Buffer): void {
    const skipped = Math.min(this.prefaceLeft, chunk.length);
    this.prefaceLeft -= skipped;
    this.rest = Buffer.concat([this.rest, chunk.subarray(skipped)]);
    while (this.rest.length >= F.FRAME_HEADER_BYTES) {
      const length = this.rest.readUIntBE(0, 3);
      const end = F.FRAME_HEADER_BYTES + length;
      if (this.rest.length < end) break;
      const [type = 0, flags = 0] = [this.rest[3], this.rest[4]];
      const it = { type, flags, id: F.readUint31(this.rest, 5), payload: this.rest.subarray(9, end) };
      this.rest = this.rest.subarray(end);
      this.frames.push(it);
      if (type === F.DATA) this.bodies.set(it.id, (this.bodies.get(it.id) ?? '') + it.payload.toString('latin1'));
      if (type !== F.HEADERS) continue;
      const fields: string[] = [];
      const sink = { field: (field: Field) => fields.push(`${field.name}: ${field.value}`) };
      this.decoder.decode(it.payload, 0, it.payload.length, sink);
      this.heads.push({ id: it.id, end: (flags & F.FLAG_END_STREAM) !== 0, fields });
    }
    this.onFrames();
  }
}

export const GET = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'a.test'] as const;

export interface Served {
  readonly peer: RawPeer;
  readonly connection: Http2ServerConnection;
  readonly recorder: TestRecorder;
  readonly clock: ManualClock;
}

/** The server codec behind one end of a connection in memory, on a clock that stands still; the preface is sent. */
export function serve(
  dispatch: Dispatch,
  limits: Partial<HttpLimits> = {},
  options: Partial<Http2ServerOptions> & { readonly silent?: boolean } = {},
): Served {
  const [client, socket] = duplexPair();
  const recorder = new TestRecorder();
  const clock = new ManualClock();
  const { silent, ...rest } = options;
  const connection = serveHttp2(socket, testConnection, {
    limits: { ...defaultHttpLimits, ...limits },
    dispatch,
    clock,
    recorder,
    direction: 'inbound',
    ...rest,
  });
  const peer = new RawPeer(client, options.mesh === true);
  if (silent !== true) peer.send(F.PREFACE, settings(), frame(F.SETTINGS, F.FLAG_ACK, 0));
  return { peer, connection, recorder, clock };
}

export interface Connected {
  readonly peer: RawPeer;
  readonly connection: UpstreamConnection;
  readonly recorder: TestRecorder;
  readonly clock: ManualClock;
}

/** The client codec against a server whose frames the test writes; its SETTINGS are sent, unless `silent`. */
export function connect(options: Partial<Http2ClientOptions> & { readonly silent?: boolean } = {}): Connected {
  const [server, socket] = duplexPair();
  const recorder = new TestRecorder();
  const clock = new ManualClock();
  const { silent, ...rest } = options;
  const peer = new RawPeer(server, options.mesh === true, true);
  const transport = { socket, alpn: 'h2', peer: undefined, localIp: '127.0.0.1' };
  const connection = connectHttp2(transport, { clock, recorder, ...rest });
  if (silent !== true) peer.send(settings(), frame(F.SETTINGS, F.FLAG_ACK, 0));
  return { peer, connection, recorder, clock };
}
