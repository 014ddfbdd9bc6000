import type { ProxyError } from '../../http/errors.ts';
import type { ResponseHead, ResponseReceiver, Upstream, UpstreamConnection } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { UpstreamTransport } from '../../net/connection.ts';
import type { CheckBounds } from './bounds.ts';
import type { CheckOutcome } from './host-health.ts';
import type { HttpQuestion } from './http-question.ts';
import { ANSWER_BYTES_MAX, type Prober, type ProbeTarget } from './prober.ts';

const givenUp: ProxyError = {
  source: 'internal',
  flag: 'UT',
  status: 504,
  retry: 'no',
  detail: 'the health check took too long',
};

/** Asks an endpoint over HTTP, on a connection of its own that is kept for the next time. */
export class HttpProber implements Prober {
  private readonly target: ProbeTarget;
  private readonly question: HttpQuestion;
  private readonly connect: (transport: UpstreamTransport) => UpstreamConnection;
  private readonly bounds: CheckBounds;
  private connection: UpstreamConnection | undefined = undefined;
  private kept = false;
  private dialing: { cancel(): void } | undefined = undefined;
  private asking: Asking | undefined = undefined;
  private done: ((outcome: CheckOutcome) => void) | undefined = undefined;

  constructor(
    target: ProbeTarget,
    question: HttpQuestion,
    connect: (transport: UpstreamTransport) => UpstreamConnection,
    bounds: CheckBounds,
  ) {
    this.target = target;
    this.question = question;
    this.connect = connect;
    this.bounds = bounds;
  }

  start(done: (outcome: CheckOutcome) => void): void {
    this.done = done;
    const { connection } = this;
    if (connection !== undefined && !connection.closed && connection.available > 0) this.ask(connection);
    else this.dial();
  }

  cancel(): void {
    this.done = undefined;
    this.dialing?.cancel();
    this.dialing = undefined;
    this.asking?.giveUp();
    this.asking = undefined;
    this.dropConnection();
  }

  dropConnection(): void {
    const { connection } = this;
    this.forget();
    connection?.drain();
  }

  private dial(): void {
    this.dropConnection();
    this.dialing = this.target.dial(this.target.request, (result) => {
      this.dialing = undefined;
      if ('error' in result) {
        this.finish('network');
        return;
      }
      const connection = this.connect(result.transport);
      this.connection = connection;
      this.kept = this.target.reuse && this.bounds.keepConnection();
      connection.onChange = () => this.changed(connection);
      this.changed(connection);
    });
  }

  private changed(connection: UpstreamConnection): void {
    if (connection !== this.connection) return;
    if (connection.closed) {
      this.forget();
      // A check that is under way on it hears of it as well.
      if (this.asking === undefined) this.finish('network');
    } else if (this.done !== undefined && this.asking === undefined && connection.available > 0) {
      this.ask(connection);
    }
  }

  private ask(connection: UpstreamConnection): void {
    const reused = connection.requests > 0;
    const asking = new Asking(this.question, (outcome) => {
      if (this.asking !== asking) return;
      this.asking = undefined;
      // It was closed while nobody looked (RFC 9112 section 9.3.1): that says nothing of the endpoint.
      if (outcome === 'network' && reused && this.done !== undefined) this.dial();
      else this.finish(outcome);
    });
    this.asking = asking;
    asking.begin(connection);
  }

  private finish(outcome: CheckOutcome): void {
    const { done } = this;
    this.done = undefined;
    if (!this.kept) this.dropConnection();
    done?.(outcome);
  }

  private forget(): void {
    this.connection = undefined;
    if (this.kept) this.bounds.dropConnection();
    this.kept = false;
  }
}

/** One request and its answer. */
class Asking implements ResponseReceiver {
  private readonly question: HttpQuestion;
  private readonly done: (outcome: CheckOutcome) => void;
  private upstream: Upstream | undefined = undefined;
  private head: ResponseHead | undefined = undefined;
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private over = false;

  constructor(question: HttpQuestion, done: (outcome: CheckOutcome) => void) {
    this.question = question;
    this.done = done;
  }

  begin(connection: UpstreamConnection): void {
    const { body } = this.question;
    this.upstream = connection.open(this.question.head(), body === undefined, this);
    if (body !== undefined && !this.over) this.upstream.write(body, true);
  }

  giveUp(): void {
    if (this.over) return;
    this.over = true;
    this.upstream?.reset(givenUp);
  }

  onInterim(): void {}

  onHead(head: ResponseHead, end: boolean): void {
    this.head = head;
    if (end) this.answered(undefined);
  }

  onData(chunk: Buffer, end: boolean): void {
    if (this.over) return;
    this.bytes += chunk.length;
    if (this.question.readsBody && this.bytes <= ANSWER_BYTES_MAX) this.chunks.push(chunk);
    if (end) {
      this.answered(undefined);
    } else if (this.bytes > ANSWER_BYTES_MAX) {
      // The head has said all; the rest is not worth its bytes.
      this.answered(undefined);
      this.upstream?.reset(givenUp);
    } else {
      this.upstream?.consumed(chunk.length);
    }
  }

  onTrailers(trailers: Headers): void {
    this.answered(trailers);
  }

  onReset(): void {
    this.end('network');
  }

  onWritable(): void {}

  private answered(trailers: Headers | undefined): void {
    if (this.head === undefined || this.over) return;
    const { status, headers } = this.head;
    this.end(this.question.judge({ status, headers, trailers, body: Buffer.concat(this.chunks) }));
  }

  private end(outcome: CheckOutcome): void {
    if (this.over) return;
    this.over = true;
    this.done(outcome);
  }
}
