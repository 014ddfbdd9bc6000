import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { defaultHttp2Options, type Http2Options } from '@weft/policies/model/http2-options';
import type { RequestHead, UpstreamConnection } from '../http/exchange.ts';
import { GrpcCode } from '../http/grpc-status.ts';
import { connectHttp2 } from '../http/h2/client.ts';
import { Headers } from '../http/headers.ts';
import { type CallListener, ClientCall, type Method } from './call.ts';

export interface ChannelOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined: plaintext. */
  readonly tls: ChannelTls | undefined;
  readonly clock: Clock;
  /** How the host becomes addresses; left out: as the system does it. */
  readonly lookup?: LookupFunction;
}

export interface ChannelTls {
  /** Anchors, as PEM; no others are trusted. */
  readonly trustPem: string;
  /** What the certificate has to be for. */
  readonly serverName: string;
  /** Ours, for servers that ask. */
  readonly client?: { readonly certPem: string; readonly keyPem: string };
}

export interface CallOptions {
  /** Names and values in turn. */
  readonly metadata: readonly string[];
  /** 0: none. */
  readonly timeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 10_000;
const WAITING_MAX = 64;

/** A server that is gone without a word is found out also while nothing is asked of it. */
const http2: Http2Options = {
  ...defaultHttp2Options,
  keepAlive: { intervalMs: 30_000, timeoutMs: 10_000 },
};

/** Of several addresses that were tried in vain there is a code and no message. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.message === '' ? (error.code ?? 'failed') : error.message;

interface WaitingCall {
  start(connection: UpstreamConnection): void;
  fail(code: number, message: string): void;
}

/**
 * A gRPC client on the HTTP/2 codec of the sidecar: one connection, made when there is a call for it, and made anew for
 * the first call after it was lost. Whoever wants to try again does so by himself.
 */
export class GrpcChannel {
  private readonly options: ChannelOptions;
  private connection: UpstreamConnection | undefined = undefined;
  private socket: Socket | undefined = undefined;
  private cancelConnect: Cancel | undefined = undefined;
  private waiting: WaitingCall[] = [];
  private draining = false;

  constructor(options: ChannelOptions) {
    this.options = options;
  }

  call<Request, Response>(
    method: Method<Request, Response>,
    { metadata, timeoutMs }: CallOptions,
    listener: CallListener<Response>,
  ): ClientCall<Request, Response> {
    const call = new ClientCall(method, listener);
    if (timeoutMs > 0) {
      const late = (): void => call.fail(GrpcCode.deadlineExceeded, `no answer within ${timeoutMs} ms`);
      call.endBy(this.options.clock.after(timeoutMs, late));
    }
    const head = this.headOf(method.path, metadata, timeoutMs);
    this.withConnection({
      start: (connection) => call.start(connection, head),
      fail: (code, message) => call.fail(code, message),
    });
    return call;
  }

  /** Calls that are under way go on; the connection ends with the last of them. */
  close(): void {
    this.draining = true;
    this.connection?.drain();
    if (this.connection === undefined) this.lose('the channel was closed');
  }

  private headOf(path: string, metadata: readonly string[], timeoutMs: number): RequestHead {
    const { host, port, tls } = this.options;
    const literal = host.includes(':') ? `[${host}]` : host;
    const headers = Headers.from(['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'weft']);
    if (timeoutMs > 0) headers.append('grpc-timeout', `${timeoutMs}m`);
    for (let at = 0; at + 1 < metadata.length; at += 2) headers.append(metadata[at] ?? '', metadata[at + 1] ?? '');
    return {
      method: 'POST',
      scheme: tls === undefined ? 'http' : 'https',
      authority: `${tls === undefined ? literal : tls.serverName}:${port}`,
      path,
      protocol: undefined,
      headers,
      version: 20,
      contentLength: -1,
      expectContinue: false,
    };
  }

  private withConnection(call: WaitingCall): void {
    const { connection } = this;
    if (connection !== undefined && connection.available > 0) {
      call.start(connection);
      return;
    }
    if (this.waiting.length >= WAITING_MAX) {
      call.fail(GrpcCode.unavailable, `${WAITING_MAX} calls wait for a connection already`);
      return;
    }
    this.waiting.push(call);
    // Also in the place of one that takes nothing new: it ends with its last call.
    if (this.cancelConnect === undefined) this.connect();
  }

  private connect(): void {
    const { host, port, tls, clock, lookup } = this.options;
    this.cancelConnect = clock.after(CONNECT_TIMEOUT_MS, () => {
      this.lose(`no connection to ${host}:${port} within ${CONNECT_TIMEOUT_MS} ms`);
    });
    const socket = connectTcp({ host, port, noDelay: true, ...(lookup === undefined ? {} : { lookup }) });
    this.socket = socket;
    socket.on('error', (error) => {
      if (this.socket === socket) this.lose(`${host}:${port}: ${reasonOf(error)}`);
    });
    socket.on('close', () => {
      if (this.socket === socket) this.lose(`${host}:${port} closed the connection`);
    });
    // Not before: where a host has several addresses, Node makes each attempt with another handle, and TLS on that of the
    // first one takes the process down when a later one succeeds.
    socket.once('connect', () => {
      if (tls === undefined) this.established(socket);
      else this.secure(socket, tls);
    });
  }

  private secure(socket: Socket, { trustPem, serverName, client }: ChannelTls): void {
    if (this.socket !== socket) return;
    const secured = connectTls({
      socket,
      ca: trustPem,
      allowPartialTrustChain: true,
      servername: serverName,
      ALPNProtocols: ['h2'],
      minVersion: 'TLSv1.2',
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    });
    this.socket = secured;
    secured.on('error', (error) => {
      if (this.socket === secured) this.lose(`${serverName}: ${reasonOf(error)}`);
    });
    secured.on('close', () => {
      if (this.socket === secured) this.lose(`${serverName} closed the connection`);
    });
    secured.once('secureConnect', () => {
      if (secured.alpnProtocol === 'h2') this.established(secured);
      else this.lose(`${serverName} does not speak HTTP/2 (ALPN h2)`);
    });
  }

  private established(socket: Socket): void {
    if (this.socket !== socket) return;
    this.cancelConnect?.();
    this.cancelConnect = undefined;
    this.socket = undefined;
    const transport = { socket, alpn: 'h2', peer: undefined, localIp: '' };
    const connection = connectHttp2(transport, { clock: this.options.clock, http2 });
    this.connection = connection;
    connection.onChange = () => {
      if (connection.closed && this.connection === connection) this.connection = undefined;
    };
    const calls = this.waiting;
    this.waiting = [];
    for (const call of calls) call.start(connection);
    if (this.draining) connection.drain();
  }

  /** No connection came about. */
  private lose(reason: string): void {
    this.cancelConnect?.();
    this.cancelConnect = undefined;
    const { socket } = this;
    this.socket = undefined;
    socket?.destroy();
    const calls = this.waiting;
    this.waiting = [];
    for (const call of calls) call.fail(GrpcCode.unavailable, reason);
  }
}
