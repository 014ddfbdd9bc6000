import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { defaultHttp2Options, type Http2Options } from '@weft/policies/model/http2-options';
import type { RequestHead, UpstreamConnection } from '../http/exchange.ts';
import { GrpcCode } from '../http/grpc-status.ts';
import { connectHttp2 } from '../http/h2/client.ts';
import { Headers } from '../http/headers.ts';
import type { UpstreamTransport } from '../net/connection.ts';
import { type CallListener, ClientCall, type Method } from './call.ts';

export interface ChannelOptions {
  readonly via: Via;
  readonly clock: Clock;
}

export type Connected = { readonly transport: UpstreamTransport } | { readonly error: string };

/** The way to a server. */
export interface Via {
  /** For people. */
  readonly name: string;
  readonly authority: string;
  readonly scheme: 'http' | 'https';
  /** Calls back at most once, never from within the call, and not after it was cancelled. */
  connect(done: (result: Connected) => void): () => void;
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
    const headers = Headers.from(['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'weft']);
    if (timeoutMs > 0) headers.append('grpc-timeout', `${timeoutMs}m`);
    for (let at = 0; at + 1 < metadata.length; at += 2) headers.append(metadata[at] ?? '', metadata[at + 1] ?? '');
    return {
      method: 'POST',
      scheme: this.options.via.scheme,
      authority: this.options.via.authority,
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
    const { via, clock } = this.options;
    const stopWaiting = clock.after(CONNECT_TIMEOUT_MS, () => {
      this.lose(`no connection to ${via.name} within ${CONNECT_TIMEOUT_MS} ms`);
    });
    const giveUp = via.connect((result) => {
      if ('transport' in result) this.established(result.transport);
      else this.lose(result.error);
    });
    this.cancelConnect = () => {
      stopWaiting();
      giveUp();
    };
  }

  private established(transport: UpstreamTransport): void {
    this.cancelConnect?.();
    this.cancelConnect = undefined;
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
    const calls = this.waiting;
    this.waiting = [];
    for (const call of calls) call.fail(GrpcCode.unavailable, reason);
  }
}
