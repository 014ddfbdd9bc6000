/** A small gRPC server on a Unix socket: unary and server-streaming calls, and who makes them, by the kernel's word. */
import { chmodSync, existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { defaultHttpLimits, type HttpLimits } from '@weft/policies/model/listener';
import { type Downstream, nobodysConnection } from '../http/exchange.ts';
import { GrpcCode } from '../http/grpc-status.ts';
import { serveHttp2 } from '../http/h2/server.ts';
import type { Http2ServerConnection } from '../http/h2/server-options.ts';
import { Headers } from '../http/headers.ts';
import { type PeerCredentials, peerCredentials } from '../net/peer-credentials.ts';
import type { Recorder } from '../telemetry/record.ts';
import { ExchangeCall, type ServerCall } from './grpc-call.ts';

/** What answers a call; it may go on with it for as long as it likes. */
export type Handler = (call: ServerCall, request: Buffer) => void;

export interface UnixGrpcServerOptions {
  readonly path: string;
  readonly mode: number;
  readonly handlers: ReadonlyMap<string, Handler>;
  /** Who may be answered at all; others are told that they are not, and have little room for asking. */
  readonly isAllowed: (peer: PeerCredentials) => boolean;
  readonly clock: Clock;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

const CONNECTIONS_MAX = 256;
/** Of those who may not ask: they must not take the room of those who may. */
const STRANGERS_MAX = 16;
const STREAMS_OF_CONNECTION_MAX = 32;
const STREAMS_MAX = 1_024;
/** sockaddr_un(7): sun_path is 108 bytes with its end. */
const PATH_BYTES_MAX = 107;
const HEAD_BYTES_MAX = 16_384;

/** Streams are silent from one rotation to the next, and connections as long as nobody asks. */
const limits: HttpLimits = {
  ...defaultHttpLimits,
  headBytesMax: HEAD_BYTES_MAX,
  streamIdleTimeoutMs: 0,
  idleTimeoutMs: 0,
  concurrentStreamsMax: STREAMS_OF_CONNECTION_MAX,
  http2: { ...defaultHttpLimits.http2, connectProtocol: false },
};

export class UnixGrpcServer {
  private readonly options: UnixGrpcServerOptions;
  private readonly server: Server;
  private readonly connections = new Set<Http2ServerConnection>();
  private readonly recorder: Recorder;
  private streams = 0;
  private strangers = 0;

  constructor(options: UnixGrpcServerOptions) {
    this.options = options;
    // Calls here are no requests of the mesh, and in none of its logs.
    this.recorder = {
      record: () => {},
      tcpOpened: () => () => {},
      connection: () => {},
      count: (event) => options.count(`workload_api.${event}`),
    };
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
    for (const connection of this.connections) connection.destroy();
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
    const { clock } = this.options;
    const connection = serveHttp2(socket, nobodysConnection, {
      limits,
      clock,
      recorder: this.recorder,
      direction: 'inbound',
      anyAuthority: true,
      dispatch: (exchange) => this.open(exchange, peer),
      onClose: () => this.connections.delete(connection),
    });
    this.connections.add(connection);
  }

  private open(exchange: Downstream, peer: PeerCredentials): void {
    const { path, headers } = exchange.head;
    if (headers.get('content-type')?.startsWith('application/grpc') !== true) {
      exchange.respond({ status: 415, reason: '', headers: new Headers(), contentLength: 0 }, true);
      return;
    }
    const handler = this.options.handlers.get(path);
    const call = new ExchangeCall(exchange, peer, {
      clock: this.options.clock,
      onRequest: (one, request) => this.answer(handler, one, request),
    });
    exchange.receiver = call;
    this.streams += 1;
    call.onEnd(() => {
      this.streams -= 1;
    });
    if (handler === undefined) {
      call.end(GrpcCode.unimplemented, `there is no method ${path}`);
    } else if (this.streams > STREAMS_MAX) {
      this.options.count('workload_api.streams_max');
      call.end(GrpcCode.resourceExhausted, `${STREAMS_MAX} calls are open already`);
    } else if (exchange.endOfRequest) {
      call.end(GrpcCode.internal, 'the request was cut off');
    }
  }

  private answer(handler: Handler | undefined, call: ServerCall, request: Buffer): void {
    try {
      handler?.(call, request);
    } catch (error) {
      this.options.log(`workload API: ${errorText(error)}`);
      call.end(GrpcCode.internal, 'the call failed');
    }
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
