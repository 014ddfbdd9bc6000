import { Duplex } from 'node:stream';
import { emptyRecord, type Recorder, type RequestRecord } from '../../telemetry/record.ts';
import type {
  Dispatch,
  Downstream,
  DownstreamConnection,
  RequestReceiver,
  ResponseHead,
  ResponseReceiver,
  Upstream,
  UpstreamConnection,
} from '../exchange.ts';
import { Headers } from '../headers.ts';

/** Two ends of a connection in memory; what is written to one is read from the other, in the same pieces. */
export function duplexPair(): [Duplex, Duplex] {
  const make = (peer: () => Duplex): Duplex =>
    new Duplex({
      allowHalfOpen: true,
      read() {},
      write(chunk: Buffer, _encoding, done) {
        peer().push(chunk);
        done();
      },
      final(done) {
        peer().push(null);
        done();
      },
      destroy(error, done) {
        // As a TCP peer notices: the end of the stream, then nothing that it writes arrives.
        const other = peer();
        if (!other.destroyed) other.destroy();
        done(error);
      },
    });
  const a: Duplex = make(() => b);
  const b: Duplex = make(() => a);
  return [a, b];
}

export const testConnection: DownstreamConnection = {
  id: 1,
  remoteIp: '192.0.2.1',
  remotePort: 1000,
  destinationIp: '192.0.2.2',
  destinationPort: 80,
  peer: undefined,
  tls: false,
};

export class TestRecorder implements Recorder {
  tcpOpen = 0;
  readonly records: RequestRecord[] = [];
  readonly events: string[] = [];
  open = 0;

  record(record: RequestRecord): void {
    // It may read what it says from elsewhere.
    const copy = emptyRecord(record.direction);
    for (const name of Object.keys(copy)) Reflect.set(copy, name, Reflect.get(record, name));
    this.records.push(copy);
  }

  tcpOpened(): () => void {
    this.tcpOpen++;
    return () => {
      this.tcpOpen--;
    };
  }

  connection(_direction: 'inbound' | 'outbound', open: 1 | -1): void {
    this.open += open;
  }

  count(event: string): void {
    this.events.push(event);
  }
}

export function answer(exchange: Downstream, status: number, body: string): void {
  const content = Buffer.from(body);
  const head: ResponseHead = { status, reason: '', headers: new Headers(), contentLength: content.length };
  exchange.respond(head, content.length === 0);
  if (content.length > 0) exchange.write(content, true);
}

/** The least that can stand between the two codecs: everything is passed on, an error of the upstream is its status. */
export function forward(exchange: Downstream, connection: UpstreamConnection): void {
  let responded = false;
  let over = false;
  let requestBytes = 0;
  let responseBytes = 0;
  const returnRequestCredit = (): void => {
    const bytes = requestBytes;
    requestBytes = 0;
    if (bytes > 0) exchange.consumed(bytes);
  };
  const returnResponseCredit = (): void => {
    const bytes = responseBytes;
    responseBytes = 0;
    if (bytes > 0) upstream.consumed(bytes);
  };
  const response: ResponseReceiver = {
    onInterim: (head) => exchange.interim(head),
    onHead: (head, end) => {
      responded = true;
      exchange.respond(head, end);
    },
    onData: (chunk, end) => {
      responseBytes += chunk.length;
      if (exchange.write(chunk, end)) returnResponseCredit();
    },
    onTrailers: (trailers) => exchange.trailers(trailers),
    onReset: (error) => {
      if (over) return;
      if (responded) exchange.reset(error);
      else answer(exchange, error.status, `${error.flag} ${error.detail}`);
    },
    onWritable: returnRequestCredit,
  };
  const request: RequestReceiver = {
    onData: (chunk, end) => {
      requestBytes += chunk.length;
      if (upstream.write(chunk, end)) returnRequestCredit();
    },
    onTrailers: (trailers) => upstream.trailers(trailers),
    onReset: (error) => {
      over = true;
      upstream.reset(error);
    },
    onWritable: returnResponseCredit,
    onDone: () => {
      over = true;
    },
  };
  exchange.receiver = request;
  const upstream: Upstream = connection.open(exchange.head, exchange.endOfRequest, response);
}

/** Forwards each request on a connection of its own or a free one of before. */
export function forwardTo(connect: () => UpstreamConnection): Dispatch {
  const idle: UpstreamConnection[] = [];
  return (exchange) => {
    let connection = idle.pop();
    while (connection !== undefined && connection.available === 0) connection = idle.pop();
    const used = connection ?? connect();
    used.onChange = () => {
      if (used.available > 0) idle.push(used);
    };
    forward(exchange, used);
  };
}
