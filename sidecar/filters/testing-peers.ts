import type { ManualClock } from '@weft/policies/kit/clock';
import type { ProxyError } from '../http/errors.ts';
import type {
  Downstream,
  DownstreamConnection,
  RequestHead,
  RequestReceiver,
  ResponseHead,
  ResponseReceiver,
  Upstream,
  UpstreamConnection,
} from '../http/exchange.ts';
import { Headers } from '../http/headers.ts';
import type { DialRequest } from '../net/connection.ts';

/** A request as a test server sees it, complete. */
export interface ServedRequest {
  readonly head: RequestHead;
  readonly body: string;
  readonly bytes: Buffer;
}

export interface Answer {
  readonly status: number;
  readonly body?: string | Buffer;
  readonly headers?: Headers;
  /** Until the head; 0 answers at once. */
  readonly afterMs?: number;
  /** The body never ends. */
  readonly endless?: boolean;
}

/** What a server does with a request: an answer, a broken connection, or nothing at all. */
export type Handler = (request: ServedRequest, later: Later) => Answer | 'reset' | 'hang';

/** For a server that hangs at first. */
export interface Later {
  answer(answer: Answer | 'reset'): void;
  /** The client has given up. */
  onAbort: (() => void) | undefined;
}

/** An upstream in memory that takes connections and answers requests, one at a time on each, as HTTP/1 does. */
export class TestServer {
  readonly requests: ServedRequest[] = [];
  readonly connections = new Set<TestUpstreamConnection>();
  readonly dials: DialRequest[] = [];
  accepts = true;
  /** Of a request; with more it asks to wait, and never asks for the rest. */
  takesBytes = Number.POSITIVE_INFINITY;
  connectMs = 0;
  handler: Handler;

  constructor(handler: Handler = () => ({ status: 200, body: 'ok' })) {
    this.handler = handler;
  }

  /** All idle connections go stale: the client learns only when it uses them. */
  makeStale(): void {
    for (const connection of this.connections) connection.stale = true;
  }
}

export class TestUpstreamConnection implements UpstreamConnection {
  requests = 0;
  closed = false;
  stale = false;
  onChange: (() => void) | undefined = undefined;
  private draining = false;
  private busy: TestUpstream | undefined = undefined;
  readonly server: TestServer;
  readonly clock: ManualClock;

  constructor(server: TestServer, clock: ManualClock) {
    this.server = server;
    this.clock = clock;
    server.connections.add(this);
  }

  get available(): number {
    return this.closed || this.draining || this.busy !== undefined ? 0 : 1;
  }

  open(head: RequestHead, end: boolean, receiver: ResponseReceiver): Upstream {
    this.requests++;
    const upstream = new TestUpstream(this, { ...head, headers: head.headers.clone() }, receiver);
    this.busy = upstream;
    if (end) upstream.requestComplete();
    return upstream;
  }

  finished(): void {
    this.busy = undefined;
    if (this.draining) this.destroy();
    else this.onChange?.();
  }

  /** Before it has the whole request. */
  answerEarly(answer: Answer): void {
    this.busy?.answer(answer);
  }

  drain(): void {
    this.draining = true;
    if (this.busy === undefined) this.destroy();
  }

  destroy(): void {
    if (this.closed) return;
    this.closed = true;
    this.server.connections.delete(this);
    const { busy } = this;
    this.busy = undefined;
    busy?.broken();
    this.onChange?.();
  }
}

class TestUpstream implements Upstream, Later {
  onAbort: (() => void) | undefined = undefined;
  private readonly connection: TestUpstreamConnection;
  private readonly head: RequestHead;
  private readonly receiver: ResponseReceiver;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private alive = true;

  constructor(connection: TestUpstreamConnection, head: RequestHead, receiver: ResponseReceiver) {
    this.connection = connection;
    this.head = head;
    this.receiver = receiver;
  }

  consumed(): void {}

  write(chunk: Buffer, end: boolean): boolean {
    this.chunks.push(chunk);
    if (end) this.requestComplete();
    this.bytes += chunk.length;
    return this.bytes <= this.connection.server.takesBytes;
  }

  trailers(): void {
    this.requestComplete();
  }

  reset(): void {
    if (!this.alive) return;
    this.alive = false;
    this.connection.destroy();
    this.onAbort?.();
  }

  broken(): void {
    if (!this.alive) return;
    this.alive = false;
    const retry = this.connection.requests > 1 ? 'reusedOnly' : 'idempotent';
    this.receiver.onReset({ source: 'upstream', flag: 'UC', status: 503, retry, detail: 'closed before a response' });
  }

  requestComplete(): void {
    const { server, clock } = this.connection;
    if (this.connection.stale) {
      clock.after(0, () => this.connection.destroy());
      return;
    }
    const bytes = Buffer.concat(this.chunks);
    const request = { head: this.head, body: bytes.toString(), bytes };
    server.requests.push(request);
    const answer = server.handler(request, this);
    if (answer !== 'hang') this.answer(answer);
  }

  answer(answer: Answer | 'reset'): void {
    const { clock } = this.connection;
    if (answer === 'reset') clock.after(0, () => this.connection.destroy());
    else clock.after(answer.afterMs ?? 0, () => this.respond(answer));
  }

  private respond(answer: Answer): void {
    if (!this.alive) return;
    const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : (answer.body ?? Buffer.alloc(0));
    const head: ResponseHead = {
      status: answer.status,
      reason: '',
      headers: answer.headers ?? new Headers(),
      contentLength: body.length,
    };
    this.receiver.onHead(head, body.length === 0);
    if (this.alive && body.length > 0) this.receiver.onData(body, answer.endless !== true);
    if (!this.alive || answer.endless === true) return;
    this.alive = false;
    this.connection.finished();
  }
}

/** What came back to a client. */
export class TestDownstream implements Downstream {
  readonly head: RequestHead;
  readonly endOfRequest: boolean;
  readonly connection: DownstreamConnection;
  receiver: RequestReceiver | undefined = undefined;
  idleTimeoutMs = 0;
  readonly bytesReceived = 0;
  readonly bytesSent = 0;
  response: ResponseHead | undefined = undefined;
  body = '';
  ended = false;
  resetWith: ProxyError | undefined = undefined;
  credited = 0;
  onEnd: (() => void) | undefined = undefined;

  constructor(head: RequestHead, endOfRequest: boolean, connection: DownstreamConnection) {
    this.head = head;
    this.endOfRequest = endOfRequest;
    this.connection = connection;
  }

  get status(): number {
    return this.response?.status ?? 0;
  }

  consumed(bytes: number): void {
    this.credited += bytes;
  }

  interim(): void {}

  respond(head: ResponseHead, end: boolean): void {
    if (this.response !== undefined) throw new Error('responded twice');
    this.response = head;
    if (end) this.finish();
  }

  write(chunk: Buffer, end: boolean): boolean {
    this.body += chunk.toString();
    if (end) this.finish();
    return true;
  }

  trailers(): void {
    this.finish();
  }

  reset(error: ProxyError): void {
    this.resetWith = error;
    this.finish();
  }

  private finish(): void {
    if (this.ended) throw new Error('ended twice');
    this.ended = true;
    this.receiver?.onDone();
    this.onEnd?.();
  }
}
