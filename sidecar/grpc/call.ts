import type { Cancel } from '@weft/policies/kit/clock';
import type { ProxyError } from '../http/errors.ts';
import type { RequestHead, ResponseHead, ResponseReceiver, Upstream, UpstreamConnection } from '../http/exchange.ts';
import { codeOfHttpStatus, GrpcCode, grpcStatusOf } from '../http/grpc-status.ts';
import type { Headers } from '../http/headers.ts';
import { frameMessage, MessageReader } from './messages.ts';

/** How a call ended; code 0 is OK. */
export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
}

export interface CallListener<Response> {
  /** The server has let the call in, before it may have anything to say. */
  onAccepted?(): void;
  onMessage(response: Response): void;
  /** Once, and nothing after it; not after `cancel`. */
  onEnd(status: GrpcStatus): void;
}

/** Of a service, as `policies/wire/grpc` describes it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A message of the control plane holds all resources of a type. */
const MESSAGE_BYTES_MAX = 64 * 1_024 * 1_024;

const cancelled: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the call was cancelled',
};

/** `grpc-message`: percent-encoded UTF-8; what is not is shown as it came. */
function messageOf(headers: Headers): string {
  const text = headers.get('grpc-message') ?? '';
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** One call, of any kind: messages both ways until either side ends it. */
export class ClientCall<Request, Response> implements ResponseReceiver {
  private readonly method: Method<Request, Response>;
  private readonly listener: CallListener<Response>;
  private readonly reader: MessageReader;
  private upstream: Upstream | undefined = undefined;
  /** Until there is a connection. */
  private unsent: Buffer[] = [];
  private halfClosed = false;
  private over = false;
  private cancelDeadline: Cancel | undefined = undefined;

  constructor(method: Method<Request, Response>, listener: CallListener<Response>) {
    this.method = method;
    this.listener = listener;
    this.reader = new MessageReader(MESSAGE_BYTES_MAX, (bytes) => this.onBytes(bytes));
  }

  /** `last`: no further message will be sent. */
  send(request: Request, last = false): void {
    if (this.over || this.halfClosed) return;
    this.halfClosed = last;
    const framed = frameMessage(this.method.requestSerialize(request));
    if (this.upstream === undefined) this.unsent.push(framed);
    else this.upstream.write(framed, last);
  }

  cancel(): void {
    if (this.over) return;
    this.finish();
    this.upstream?.reset(cancelled);
  }

  /** The deadline, whose timer is stopped with the call. */
  endBy(cancelDeadline: Cancel): void {
    this.cancelDeadline = cancelDeadline;
  }

  /** Begins on a connection; what was sent before goes first. */
  start(connection: UpstreamConnection, head: RequestHead): void {
    if (this.over) return;
    const upstream = connection.open(head, false, this);
    this.upstream = upstream;
    const { unsent } = this;
    this.unsent = [];
    for (const [at, framed] of unsent.entries()) {
      if (this.over) return;
      upstream.write(framed, this.halfClosed && at === unsent.length - 1);
    }
  }

  fail(code: number, message: string): void {
    if (this.over) return;
    this.finish();
    this.upstream?.reset(cancelled);
    this.listener.onEnd({ code, message });
  }

  onInterim(): void {}

  onHead(head: ResponseHead, end: boolean): void {
    if (this.over) return;
    const code = grpcStatusOf(head.headers);
    if (end && code >= 0) this.conclude(code, messageOf(head.headers));
    else if (head.status !== 200) this.refuse(codeOfHttpStatus(head.status), `HTTP status ${head.status}`, end);
    else if (head.headers.get('content-type')?.startsWith('application/grpc') !== true) {
      this.refuse(GrpcCode.unknown, 'the answer is not one of gRPC', end);
    } else if (end) this.conclude(GrpcCode.unknown, 'the answer ended without a status');
    else this.listener.onAccepted?.();
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    const wrong = this.reader.push(chunk);
    // A message may have made its receiver cancel.
    if (this.over) return;
    if (wrong !== undefined) this.refuse(GrpcCode.internal, wrong, end);
    else if (end) this.conclude(GrpcCode.unknown, 'the answer ended without a status');
    else this.upstream?.consumed(chunk.length);
  }

  onTrailers(trailers: Headers): void {
    if (this.over) return;
    const code = grpcStatusOf(trailers);
    if (code < 0) this.conclude(GrpcCode.unknown, 'the answer ended without a status');
    else if (code === GrpcCode.ok && !this.reader.atBoundary) this.conclude(GrpcCode.internal, 'a message was cut off');
    else this.conclude(code, messageOf(trailers));
  }

  onReset(error: ProxyError): void {
    if (!this.over) this.conclude(GrpcCode.unavailable, error.detail);
  }

  onWritable(): void {}

  private onBytes(bytes: Buffer): void {
    if (this.over) return;
    let response: Response;
    try {
      response = this.method.responseDeserialize(bytes);
    } catch (error) {
      this.fail(GrpcCode.internal, `a message that cannot be read: ${(error as Error).message}`);
      return;
    }
    this.listener.onMessage(response);
  }

  /** Of an answer that is not over perhaps. */
  private refuse(code: number, message: string, end: boolean): void {
    if (end) this.conclude(code, message);
    else this.fail(code, message);
  }

  private conclude(code: number, message: string): void {
    this.finish();
    this.listener.onEnd({ code, message });
  }

  private finish(): void {
    this.over = true;
    this.unsent = [];
    this.cancelDeadline?.();
  }
}
