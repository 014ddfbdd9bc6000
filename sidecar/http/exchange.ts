/**
 * The Exchange: one request and its response, as HTTP/2 sees them (RFC 9113 section 8). HTTP/1 maps onto it.
 *
 * Nothing here is a Node stream or a promise. Bodies are Buffers, valid for the receiver to keep. Flow control is by
 * byte credits: a producer may have `WINDOW_BYTES` in flight that its consumer has not returned with `consumed(n)`;
 * a codec pauses its socket (HTTP/1) or withholds WINDOW_UPDATE (HTTP/2) beyond that.
 *
 * Each direction ends exactly once: by `end` on head or data, by trailers, or by reset. After `reset` in either
 * direction neither side calls the other again.
 */
import type { Duplex } from 'node:stream';
import type { PeerCertificateInfo } from '../net/connection.ts';
import type { ProxyError } from './errors.ts';
import type { Headers } from './headers.ts';

export const WINDOW_BYTES = 65_536;

/** Of a message: 10 and 11 for HTTP/1, 20 for HTTP/2. */
export type HttpVersion = 10 | 11 | 20;

export interface RequestHead {
  /**
   * As sent; methods are case-sensitive (RFC 9110 section 9.1). Of an extended CONNECT it is GET, as of the Upgrade that
   * it stands for (RFC 8441 section 5), and the tunnel is accepted by 101 whatever the codecs: CONNECT and a status of
   * the 200 range are for `protocol` `''` only.
   */
  method: string;
  scheme: 'http' | 'https';
  /** Exactly one; from Host or :authority. */
  authority: string;
  /** Origin form with query; `*` for OPTIONS; empty for CONNECT. The bytes that are routed, authorised and forwarded. */
  path: string;
  /** Extended CONNECT (RFC 8441) and HTTP/1 Upgrade: `websocket`, ...; empty for a plain CONNECT tunnel; undefined: no tunnel. */
  protocol: string | undefined;
  /** Hop-by-hop fields, Host and framing are not in here. */
  headers: Headers;
  /** Of the message that came in; over HTTP/2 between sidecars, of the message that came to the first of them. */
  readonly version: HttpVersion;
  /** Declared body length, -1 if unknown (chunked, HTTP/2 without content-length), 0 if there is none. */
  contentLength: number;
  /** `Expect: 100-continue` was sent; the codec answers 100 on the first `consumed`/acceptance or passes the upstream's. */
  expectContinue: boolean;
}

export interface ResponseHead {
  status: number;
  /** HTTP/1 reason phrase as received, empty if none. */
  reason: string;
  headers: Headers;
  contentLength: number;
}

/** The connection that a request came in on. */
export interface DownstreamConnection {
  readonly id: number;
  /** Peer and local address, canonical IP text; the local one is the original destination when redirected. */
  readonly remoteIp: string;
  readonly remotePort: number;
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** Mesh TLS with a verified peer; undefined for plaintext. */
  readonly peer: PeerCertificateInfo | undefined;
  readonly tls: boolean;
  /** For logs that say something of it. */
  readonly socket?: Duplex;
}

/** Of which nothing is known, or asked. */
export const nobodysConnection: DownstreamConnection = {
  id: 0,
  remoteIp: '',
  remotePort: 0,
  destinationIp: '',
  destinationPort: 0,
  peer: undefined,
  tls: false,
};

/** A request in progress, implemented by the server codecs; the dispatcher drives it. */
export interface Downstream {
  readonly head: RequestHead;
  /** True when the request has no body and no trailers. */
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  /** Set synchronously by the dispatcher, before it returns. */
  receiver: RequestReceiver | undefined;
  /** How long nothing may be sent or received; 0: for ever. To begin with that of the listener. */
  idleTimeoutMs: number;
  /** Returns credit for request body bytes. */
  consumed(bytes: number): void;
  interim(head: ResponseHead): void;
  respond(head: ResponseHead, end: boolean): void;
  /** False: stop producing until `onWritable`. The chunk is taken in any case. */
  write(chunk: Buffer, end: boolean): boolean;
  trailers(trailers: Headers): void;
  /** Ends the exchange without a complete response: HTTP/1 closes the connection, HTTP/2 resets the stream. */
  reset(error: ProxyError): void;
  /** Bytes on the wire so far, heads included. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface RequestReceiver {
  onData(chunk: Buffer, end: boolean): void;
  onTrailers(trailers: Headers): void;
  /** The client went away or broke the protocol. `status`: what it was answered by the codec; 0: nothing. */
  onReset(error: ProxyError): void;
  /**
   * The rest of the request will not come, and the response has not begun: the receiver answers as it does to errors of
   * its own. Who leaves it out is reset, and the codec answers.
   */
  onFailure?(error: ProxyError): void;
  onWritable(): void;
  /** The response has been handed to the socket completely, or the exchange was reset: the very last call. */
  onDone(): void;
}

/** One attempt at an upstream, implemented by the client codecs. */
export interface Upstream {
  consumed(bytes: number): void;
  write(chunk: Buffer, end: boolean): boolean;
  trailers(trailers: Headers): void;
  reset(error: ProxyError): void;
}

export interface ResponseReceiver {
  onInterim(head: ResponseHead): void;
  onHead(head: ResponseHead, end: boolean): void;
  onData(chunk: Buffer, end: boolean): void;
  onTrailers(trailers: Headers): void;
  onReset(error: ProxyError): void;
  onWritable(): void;
}

/** A connection to an upstream that speaks HTTP; owned by a pool. */
export interface UpstreamConnection {
  /** Exchanges that may be opened now. */
  readonly available: number;
  /** For logs. */
  readonly speaksHttp2?: boolean;
  /** Requests sent so far; above 0 a failure may be that of a stale reused connection. */
  readonly requests: number;
  /**
   * `version`: what the application is to be spoken to, as the request came in unless said. A connection to another
   * sidecar passes it on; elsewhere it has chosen the connection already.
   */
  open(head: RequestHead, end: boolean, receiver: ResponseReceiver, version?: HttpVersion): Upstream;
  /** Called when `available` grows, and once when the connection is gone. */
  onChange: (() => void) | undefined;
  readonly closed: boolean;
  /** The peer takes no requests for now (RFC 9113 section 5.1.2). */
  readonly takesNone?: boolean;
  /** Finishes what is open, takes nothing new. */
  drain(): void;
  destroy(): void;
}

/** Handles a request from its head to its end. Never throws: every failure is a response or a reset. */
export type Dispatch = ((exchange: Downstream) => void) & {
  /** Asks again whether the tunnels of a connection may be: nothing that they carry would. */
  readonly recheckTunnels?: (connectionId: number) => void;
};

/** Methods whose request has content by their meaning: without any, its length is said to be 0 (RFC 9110 section 8.6). */
export const meansContent = (method: string): boolean => method === 'POST' || method === 'PUT' || method === 'PATCH';
