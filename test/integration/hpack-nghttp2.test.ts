/**
 * HPACK against another implementation: Node's http2, which is nghttp2, on real connections. Each side decodes what the
 * other encoded, for many heads, while both change the size of the table.
 */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { after, test } from 'node:test';
import { ByteWriter } from '@weft/sidecar/http/h2/hpack/byte-writer';
import { HpackDecoder } from '@weft/sidecar/http/h2/hpack/decoder';
import { HpackEncoder } from '@weft/sidecar/http/h2/hpack/encoder';
import type { Field } from '@weft/sidecar/http/h2/hpack/field';
import fc from 'fast-check';

type Fields = readonly (readonly [name: string, value: string])[];

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const HEADERS = 1;
const SETTINGS = 4;
const GOAWAY = 7;
const CONTINUATION = 9;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 0x20;
const HEADER_TABLE_SIZE = 1;
const TABLE_BYTES_MAX = 8_192;
const HEADS = 300;

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly payload: Buffer;
}

const frame = (type: number, flags: number, streamId: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
};

const settings = (tableBytes: number): Buffer => {
  const payload = Buffer.alloc(6);
  payload.writeUInt16BE(HEADER_TABLE_SIZE, 0);
  payload.writeUInt32BE(tableBytes, 2);
  return frame(SETTINGS, 0, 0, payload);
};

/** One end of an HTTP/2 connection that knows no more than frames and HPACK. */
class Peer {
  /** `head` when one was decoded, `settings` when some were acknowledged, `failure`. */
  readonly events = new EventEmitter();
  private readonly decoder = new HpackDecoder({
    tableBytesMax: TABLE_BYTES_MAX,
    stringBytesMax: 65_536,
    keepsCase: false,
  });
  private readonly encoder: HpackEncoder;
  private readonly announced: number[] = [];
  private readonly socket: Socket;
  private received = Buffer.alloc(0);
  private block = Buffer.alloc(0);

  constructor(socket: Socket, prefaceBytes: number, ownTableBytesMax: number) {
    this.socket = socket;
    this.encoder = new HpackEncoder({ tableBytesMax: ownTableBytesMax, keepsCase: false });
    let toSkip = prefaceBytes;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      if (this.received.length < toSkip) return;
      this.received = this.received.subarray(toSkip);
      toSkip = 0;
      for (let next = this.nextFrame(); next !== undefined; next = this.nextFrame()) this.take(next);
    });
  }

  announce(tableBytes: number): void {
    this.announced.push(tableBytes);
    this.socket.write(settings(tableBytes));
  }

  send(streamId: number, fields: Fields): void {
    const out = new ByteWriter();
    this.encoder.begin(out);
    for (const [name, value] of fields) this.encoder.field(name, name, value, out);
    this.socket.write(frame(HEADERS, END_HEADERS | END_STREAM, streamId, Buffer.from(out.written())));
  }

  /** The next head; fails when the connection does. */
  async head(): Promise<readonly string[]> {
    const [head]: (readonly string[])[] = await once(this.events, 'head');
    return head ?? [];
  }

  private nextFrame(): Frame | undefined {
    if (this.received.length < 9) return undefined;
    const length = this.received.readUIntBE(0, 3);
    if (this.received.length < 9 + length) return undefined;
    const [type = 0, flags = 0] = [this.received[3], this.received[4]];
    const payload = this.received.subarray(9, 9 + length);
    this.received = this.received.subarray(9 + length);
    return { type, flags, payload };
  }

  private take({ type, flags, payload }: Frame): void {
    if (type === GOAWAY) this.events.emit('error', new Error(`GOAWAY ${payload.toString('hex')}`));
    if (type === SETTINGS) this.takeSettings(flags, payload);
    if (type !== HEADERS && type !== CONTINUATION) return;
    const start = type === HEADERS ? (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0) : 0;
    const end = payload.length - (type === HEADERS && flags & PADDED ? (payload[0] ?? 0) : 0);
    this.block = Buffer.concat([this.block, payload.subarray(start, end)]);
    if (!(flags & END_HEADERS)) return;
    const head: string[] = [];
    const sink = {
      field: (field: Field) => {
        head.push(field.name, field.value);
      },
    };
    const error = this.decoder.decode(this.block, 0, this.block.length, sink);
    this.block = Buffer.alloc(0);
    if (error === undefined) this.events.emit('head', head);
    else this.events.emit('error', new Error(`${error.kind}: ${error.detail}`));
  }

  private takeSettings(flags: number, payload: Buffer): void {
    if (flags & ACK) {
      const tableBytes = this.announced.shift();
      if (tableBytes !== undefined) this.decoder.setTableBytesMax(tableBytes);
      return;
    }
    for (let i = 0; i + 6 <= payload.length; i += 6) {
      if (payload.readUInt16BE(i) !== HEADER_TABLE_SIZE) continue;
      this.encoder.setPeerTableBytesMax(payload.readUInt32BE(i + 2));
    }
    this.events.emit('settings');
    this.socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
  }
}

const value = fc.oneof(
  fc.constantFrom('', 'a', 'gzip, deflate', 'application/json', 'Bearer abc', '00-4bf92f3577b34da6-01'),
  fc.nat(40).map((n) => `value ${n}`),
  fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/),
  fc.nat(1_500).map((length) => 'v'.repeat(length)),
);
const name = fc.oneof(
  fc.constantFrom('accept-encoding', 'authorization', 'date', 'traceparent', 'x-request-id', 'x-same', 'link', 'vary'),
  fc.stringMatching(/^x-[a-z]{1,12}$/),
);
const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const some = fc.sample(
  fc.record({
    fields: fc.uniqueArray(fc.tuple(name, value), { maxLength: 20, selector: ([name]) => name }),
    path: fc.constantFrom('/', '/a', '/b', '/a?b=1', '/a?b=2'),
    tableBytes: fc.option(fc.constantFrom(0, 40, 100, 1_000, 4_096, TABLE_BYTES_MAX), { nil: undefined, freq: 3 }),
  }),
  { numRuns: HEADS, seed },
);

const flat = (fields: Fields): string[] => fields.flat();

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

test(`an nghttp2 client: what it encodes is decoded, seed ${seed}`, { timeout: 30_000 }, async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client.on('error', () => undefined);
  const [socket]: Socket[] = await once(server, 'connection');
  assert.ok(socket !== undefined);
  closers.push(
    () => server.close(),
    () => socket.destroy(),
    () => client.destroy(),
  );
  const peer = new Peer(socket, PREFACE.length, 4_096);
  peer.announce(4_096);
  for (const [i, { fields, path, tableBytes }] of some.entries()) {
    const arrived = peer.head();
    if (tableBytes !== undefined) {
      const changed = once(client, 'remoteSettings');
      peer.announce(tableBytes);
      await changed;
    }
    const request = client.request({ ':path': path, ...Object.fromEntries(fields) }, { endStream: true });
    request.on('error', () => undefined);
    const got = await arrived;
    assert.equal(got[got.indexOf(':path') + 1], path);
    assert.deepEqual(got.slice(8), flat(fields));
    peer.send(2 * i + 1, [[':status', '204']]);
  }
});

test(`an nghttp2 server: it decodes what we encode, and we what it encodes, seed ${seed}`, {
  timeout: 30_000,
}, async () => {
  const server = createHttp2Server().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const sessions: Promise<ServerHttp2Session[]> = once(server, 'session');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
  closers.push(
    () => server.close(),
    () => socket.destroy(),
  );
  socket.write(PREFACE);
  const peer = new Peer(socket, 0, TABLE_BYTES_MAX);
  peer.announce(4_096);
  const [session] = await sessions;
  assert.ok(session !== undefined);
  closers.push(() => session.destroy());
  const received: string[][] = [];
  server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, rawHeaders) => {
    stream.on('error', () => undefined);
    received.push(rawHeaders);
    const answer = some[(received.length * 7) % HEADS];
    stream.respond({ ':status': 200, ...Object.fromEntries(answer?.fields ?? []) }, { endStream: true });
  });
  for (const [i, { fields, path, tableBytes }] of some.entries()) {
    const arrived = peer.head();
    if (tableBytes !== undefined) {
      const changed = once(peer.events, 'settings');
      session.settings({ headerTableSize: tableBytes });
      await changed;
      peer.announce(tableBytes === 0 ? 4_096 : tableBytes - 1);
    }
    const all: Fields = [[':method', 'GET'], [':scheme', 'http'], [':authority', 'a'], [':path', path], ...fields];
    peer.send(2 * i + 1, all);
    const got = await arrived;
    assert.deepEqual(received[i], flat(all));
    const expected = flat(some[((i + 1) * 7) % HEADS]?.fields ?? []);
    assert.deepEqual(got.slice(0, 2), [':status', '200']);
    for (let k = 0; k < expected.length; k += 2) {
      const at = got.indexOf(expected[k] ?? '', 2);
      assert.equal(got[at + 1], expected[k + 1]);
    }
  }
});
