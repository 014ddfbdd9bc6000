import type { Duplex } from 'node:stream';
import type { HttpConnectionManager } from '@weft/policies/model/listener';
import { MESH_ALPN } from '@weft/policies/model/tls';
import { type Deadlines, deadlinesOf, type Timed } from '../net/deadlines.ts';
import { ConnectionAge } from './connection-age.ts';
import type { DownstreamConnection } from './exchange.ts';
import { serveHttp1 } from './h1/server.ts';
import type { Http1ServerOptions } from './h1/server-options.ts';
import { PREFACE } from './h2/frames.ts';
import { serveHttp2 } from './h2/server.ts';

export interface HttpServerConnection {
  /** The next response says that it is the last, and ends the connection; an idle one stays open until then. */
  retire(): void;
  /** Closes an idle connection; one in use closes after its response. */
  drain(): void;
  destroy(): void;
}

interface HttpServerOptions extends Http1ServerOptions {
  readonly codec: HttpConnectionManager['codec'];
  /** Negotiated in TLS; empty without. */
  readonly alpn: string;
}

/** While draining. */
const FIRST_REQUEST_MS = 1_000;

type Wire = 'http1' | 'http2' | 'mesh-http2';

/** Serves HTTP on a socket that belongs to the codec from now on: the version by ALPN, configuration or first bytes. */
export function serveHttp(
  socket: Duplex,
  connection: DownstreamConnection,
  options: HttpServerOptions,
): HttpServerConnection {
  const wire = wireOf(options, options.firstBytes);
  const server =
    wire === undefined ? new Undecided(socket, connection, options) : serve(wire, socket, connection, options);
  const { limits, clock } = options;
  if (limits.connectionDurationMsMax > 0) new ConnectionAge(socket, server, limits, clock);
  return server;
}

function serve(
  wire: Wire,
  socket: Duplex,
  connection: DownstreamConnection,
  options: Http1ServerOptions,
): HttpServerConnection {
  if (wire === 'http1') return serveHttp1(socket, connection, options);
  return serveHttp2(socket, connection, { ...options, mesh: wire === 'mesh-http2' });
}

/** Undefined while the first bytes do not tell. */
function wireOf({ alpn, codec }: HttpServerOptions, bytes: Buffer | undefined): Wire | undefined {
  switch (alpn) {
    case MESH_ALPN.http2:
      return 'mesh-http2';
    case MESH_ALPN.http1:
    case 'http/1.1':
    case 'http/1.0':
      return 'http1';
    case 'h2':
      return 'http2';
  }
  if (codec !== 'auto') return codec;
  if (bytes === undefined || bytes.length === 0) return undefined;
  const compared = Math.min(bytes.length, PREFACE.length);
  if (bytes.compare(PREFACE, 0, compared, 0, compared) !== 0) return 'http1';
  // Past `PRI ` no request of HTTP/1 is meant; the codec of HTTP/2 checks the rest.
  return compared > 4 ? 'http2' : undefined;
}

/** Waits for the bytes that tell the version, as long as an idle connection may stay. */
class Undecided implements HttpServerConnection, Timed {
  deadlineMs = Number.POSITIVE_INFINITY;
  private readonly socket: Duplex;
  private readonly connection: DownstreamConnection;
  private readonly options: HttpServerOptions;
  private readonly deadlines: Deadlines;
  private bytes: Buffer | undefined;
  private chosen: HttpServerConnection | undefined = undefined;
  private retiring = false;
  private draining = false;
  private readonly onData = (chunk: Buffer): void => this.look(chunk);
  private readonly onEnd = (): void => this.choose('http1');
  private readonly onError = (): void => undefined;
  private readonly onClose = (): void => {
    this.deadlines.remove(this);
    this.options.onClose?.();
  };

  constructor(socket: Duplex, connection: DownstreamConnection, options: HttpServerOptions) {
    this.socket = socket;
    this.connection = connection;
    this.options = options;
    this.bytes = options.firstBytes;
    const { clock, limits } = options;
    this.deadlines = deadlinesOf(clock);
    this.deadlines.add(this);
    if (limits.idleTimeoutMs > 0) this.deadlines.set(this, clock.nowMs() + limits.idleTimeoutMs);
    socket.on('data', this.onData);
    socket.on('end', this.onEnd);
    socket.on('error', this.onError);
    socket.on('close', this.onClose);
    if (socket.readableEnded) this.choose('http1');
    else socket.resume();
  }

  onDeadline(): void {
    this.socket.destroy();
  }

  retire(): void {
    this.retiring = true;
    this.chosen?.retire();
  }

  drain(): void {
    this.draining = true;
    this.chosen?.drain();
    // The first request may be under way.
    if (this.chosen === undefined) this.deadlines.set(this, this.options.clock.nowMs() + FIRST_REQUEST_MS);
  }

  destroy(): void {
    this.socket.destroy();
  }

  private look(chunk: Buffer): void {
    this.bytes = this.bytes === undefined ? chunk : Buffer.concat([this.bytes, chunk]);
    const wire = wireOf(this.options, this.bytes);
    if (wire !== undefined) this.choose(wire);
  }

  private choose(wire: Wire): void {
    const { socket, options, bytes } = this;
    socket.pause();
    this.deadlines.remove(this);
    socket.removeListener('data', this.onData);
    socket.removeListener('end', this.onEnd);
    socket.removeListener('close', this.onClose);
    const { firstBytes: _, ...rest } = options;
    this.chosen = serve(wire, socket, this.connection, bytes === undefined ? rest : { ...rest, firstBytes: bytes });
    socket.removeListener('error', this.onError);
    if (this.retiring) this.chosen.retire();
    if (this.draining) this.chosen.drain();
  }
}
