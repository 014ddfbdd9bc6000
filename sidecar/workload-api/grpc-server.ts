/** A small gRPC server on a Unix socket: unary and server-streaming calls, and who makes them, by the kernel's word. */
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { frameMessage, MessageReader } from '../grpc/messages.ts';
import { GrpcCode } from '../http/grpc-status.ts';
import { type PeerCredentials, peerCredentials } from '../net/peer-credentials.ts';

export interface ServerCall {
  readonly peer: PeerCredentials;
  readonly metadata: IncomingHttpHeaders;
  send(message: Uint8Array): void;
  end(code: number, message?: string): void;
  /** Called once, however the call ends. */
  onEnd(listener: () => void): void;
}

/** What answers a call; it may go on with it for as long as it likes. */
export type Handler = (call: ServerCall, request: Buffer) => void;

export interface UnixGrpcServerOptions {
  readonly path: string;
  readonly mode: number;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Who may be answered at all; others are told that they are not, and have little room for asking. */
  readonly isAllowed: (peer: PeerCredentials) => boolean;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

const CONNECTIONS_MAX = 256;
/** Of those who may not ask: they must not take the room of those who may. */
const STRANGERS_MAX = 16;
const STREAMS_OF_CONNECTION_MAX = 32;
const STREAMS_MAX = 1_024;
/** The largest request is a JWT to validate. */
const REQUEST_BYTES_MAX = 65_536;
const REQUEST_TIMEOUT_MS = 10_000;
/** A client that was refused and goes on sending. */
const CUT_AFTER_MS = 1_000;
/** Who takes nothing while rotations pile up is let go. */
const UNSENT_BYTES_MAX = 1_048_576;
/** sockaddr_un(7): sun_path is 108 bytes with its end. */
const PATH_BYTES_MAX = 107;

export class UnixGrpcServer {
  private readonly options: UnixGrpcServerOptions;
  private readonly server: Server;
  private readonly sessions = new Set<ServerHttp2Session>();
  private streams = 0;
  private strangers = 0;

  constructor(options: UnixGrpcServerOptions) {
    this.options = options;
    this.server = createServer((socket) => this.accept(socket));
    this.server.maxConnections = CONNECTIONS_MAX;
    this.server.on('drop', () => options.count('workload_api.connections_max'));
  }

  async listen(): Promise<Result<void, string>> {
    const { path, mode } = this.options;
    if (Buffer.byteLength(path) > PATH_BYTES_MAX) return err(`${path} is longer than ${PATH_BYTES_MAX} bytes`);
    const clear = await clearStale(path);
    if (!clear.ok) return clear;
    return new Promise((resolve) => {
      this.server.once('error', (error) => resolve(err(`${path} cannot be opened: ${error.message}`)));
      this.server.listen(path, () => {
        chmodSync(path, mode);
        resolve(ok(undefined));
      });
    });
  }

  close(): void {
    this.server.close();
    for (const session of this.sessions) session.destroy();
  }

  private accept(socket: Socket): void {
    const peer = peerCredentials(socket);
    if (peer === undefined) {
      this.options.count('workload_api.no_credentials');
      socket.destroy();
      return;
    }
    socket.on('error', () => {});
    if (!this.options.isAllowed(peer)) {
      if (this.strangers >= STRANGERS_MAX) {
        this.options.count('workload_api.connections_max');
        socket.destroy();
        return;
      }
      this.strangers += 1;
      socket.once('close', () => {
        this.strangers -= 1;
      });
    }
    const session = performServerHandshake(socket, {
      settings: { maxConcurrentStreams: STREAMS_OF_CONNECTION_MAX },
      maxHeaderListPairs: 64,
    });
    this.sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => this.sessions.delete(session));
    session.on('stream', (stream, headers) => this.open(stream, headers, peer));
  }

  private open(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: PeerCredentials): void {
    const call = new Http2Call(stream, headers, peer);
    this.streams += 1;
    stream.on('error', () => {});
    stream.on('close', () => {
      this.streams -= 1;
      call.closed();
    });
    if (headers['content-type']?.startsWith('application/grpc') !== true) {
      stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
    const handler = this.options.handlers.get(headers[':path'] ?? '');
    if (handler === undefined) {
      call.end(GrpcCode.unimplemented, `there is no method ${headers[':path'] ?? ''}`);
      return;
    }
    if (this.streams > STREAMS_MAX) {
      this.options.count('workload_api.streams_max');
      call.end(GrpcCode.resourceExhausted, `${STREAMS_MAX} calls are open already`);
      return;
    }
    this.receive(stream, call, handler);
  }

  private receive(stream: ServerHttp2Stream, call: Http2Call, handler: Handler): void {
    let request: Buffer | undefined;
    const reader = new MessageReader(REQUEST_BYTES_MAX, (message) => {
      if (request === undefined) request = Buffer.from(message);
      else call.end(GrpcCode.internal, 'more than one message');
    });
    const late = setTimeout(() => call.end(GrpcCode.deadlineExceeded, 'no whole request came'), REQUEST_TIMEOUT_MS);
    call.onEnd(() => clearTimeout(late));
    stream.on('data', (chunk: Buffer) => {
      const wrong = reader.push(chunk);
      if (wrong !== undefined) call.end(GrpcCode.resourceExhausted, wrong);
    });
    stream.on('end', () => {
      clearTimeout(late);
      if (call.over) return;
      if (request === undefined || !reader.atBoundary) {
        call.end(GrpcCode.internal, 'the request was cut off');
        return;
      }
      try {
        handler(call, request);
      } catch (error) {
        this.options.log(`workload API: ${errorText(error)}`);
        call.end(GrpcCode.internal, 'the call failed');
      }
    });
  }
}

class Http2Call implements ServerCall {
  readonly peer: PeerCredentials;
  readonly metadata: IncomingHttpHeaders;
  over = false;
  private readonly stream: ServerHttp2Stream;
  private readonly listeners: (() => void)[] = [];
  private trailers: Record<string, string> = {};

  constructor(stream: ServerHttp2Stream, metadata: IncomingHttpHeaders, peer: PeerCredentials) {
    this.stream = stream;
    this.metadata = metadata;
    this.peer = peer;
  }

  send(message: Uint8Array): void {
    if (this.over || this.stream.destroyed) return;
    this.begin();
    this.stream.write(frameMessage(Buffer.from(message.buffer, message.byteOffset, message.byteLength)));
    if (this.stream.writableLength > UNSENT_BYTES_MAX)
      this.end(GrpcCode.resourceExhausted, 'too much is waiting to be taken');
  }

  end(code: number, message = ''): void {
    if (this.over) return;
    // gRPC over HTTP/2: percent-encoded UTF-8.
    this.trailers = {
      'grpc-status': String(code),
      ...(message === '' ? {} : { 'grpc-message': encodeURIComponent(message).replaceAll('%20', ' ') }),
    };
    if (!this.stream.destroyed) {
      if (this.stream.headersSent) this.stream.end();
      else this.refuse();
    }
    this.closed();
  }

  onEnd(listener: () => void): void {
    if (this.over) listener();
    else this.listeners.push(listener);
  }

  closed(): void {
    if (this.over) return;
    this.over = true;
    for (const listener of this.listeners) listener();
  }

  private refuse(): void {
    const head = { ':status': 200, 'content-type': 'application/grpc', ...this.trailers };
    this.stream.respond(head, { endStream: true });
    if (this.stream.readableEnded) return;
    // A reset at once may overtake the answer in the client; what else it sends is read and dropped until then.
    this.stream.resume();
    const cut = setTimeout(() => this.stream.close(constants.NGHTTP2_NO_ERROR), CUT_AFTER_MS);
    this.stream.once('close', () => clearTimeout(cut));
  }

  private begin(): void {
    if (this.stream.headersSent) return;
    this.stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    this.stream.once('wantTrailers', () => this.stream.sendTrailers(this.trailers));
  }
}

/** What an earlier process left behind goes; one that still serves, or anything but a socket, stays. */
async function clearStale(path: string): Promise<Result<void, string>> {
  try {
    // The right to write in a folder is not always one to make it.
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true });
    if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === false) return err(`${path} is there and no socket`);
  } catch (error) {
    return err(`${path}: ${errorText(error)}`);
  }
  const served = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
  if (served) return err(`${path} is served by another process`);
  rmSync(path, { force: true });
  return ok(undefined);
}
