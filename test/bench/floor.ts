/**
 * Weft's own codecs with nothing between them, as a reference line: `floor.ts h1|h2 LISTEN_PORT TO_PORT`. What a sidecar
 * costs beyond this is what its features cost.
 */
import { connect, createServer, type Socket } from 'node:net';
import { systemClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type { ProxyError } from '@weft/sidecar/http/errors';
import type {
  Downstream,
  DownstreamConnection,
  RequestReceiver,
  ResponseHead,
  ResponseReceiver,
  Upstream,
  UpstreamConnection,
} from '@weft/sidecar/http/exchange';
import { connectHttp1 } from '@weft/sidecar/http/h1/client';
import { serveHttp1 } from '@weft/sidecar/http/h1/server';
import type { Http1ServerOptions } from '@weft/sidecar/http/h1/server-options';
import { connectHttp2 } from '@weft/sidecar/http/h2/client';
import { serveHttp2 } from '@weft/sidecar/http/h2/server';
import type { Headers } from '@weft/sidecar/http/headers';
import type { Recorder } from '@weft/sidecar/telemetry/record';

const [wire = '', listenPort = '', toPort = ''] = process.argv.slice(2);

/** Nothing is recorded; what goes wrong is seen by the load. */
const recorder: Recorder = {
  record: () => undefined,
  tcpOpened: () => () => undefined,
  connection: () => undefined,
  count: (event) => void process.stderr.write(`${event}\n`),
};

/** Connections that have room; HTTP/2 keeps its only one here. */
const free: UpstreamConnection[] = [];

function lease(): UpstreamConnection {
  for (;;) {
    const last = wire === 'h2' ? free[0] : free.pop();
    if (last === undefined) return made();
    if (last.available > 0) return last;
    if (wire === 'h2') free.length = 0;
  }
}

function made(): UpstreamConnection {
  const socket = connect({ host: '127.0.0.1', port: Number(toPort), noDelay: true });
  const transport = { socket, alpn: '', peer: undefined, localIp: '' };
  if (wire === 'h2') {
    const shared = connectHttp2(transport, { clock: systemClock, recorder });
    free.push(shared);
    return shared;
  }
  const own = connectHttp1(transport, { recorder });
  own.onChange = () => {
    if (own.available > 0) free.push(own);
  };
  return own;
}

/** Classes, as in the sidecar: closures for each request would be no floor. */
class ToDownstream implements ResponseReceiver {
  upstream: Upstream | undefined = undefined;
  private readonly exchange: Downstream;

  constructor(exchange: Downstream) {
    this.exchange = exchange;
  }

  onInterim(head: ResponseHead): void {
    this.exchange.interim(head);
  }

  onHead(head: ResponseHead, end: boolean): void {
    this.exchange.respond(head, end);
  }

  onData(chunk: Buffer, end: boolean): void {
    this.exchange.write(chunk, end);
    this.upstream?.consumed(chunk.length);
  }

  onTrailers(trailers: Headers): void {
    this.exchange.trailers(trailers);
  }

  onReset(error: ProxyError): void {
    this.exchange.reset(error);
  }

  onWritable(): void {}
}

class ToUpstream implements RequestReceiver {
  private readonly exchange: Downstream;
  private readonly upstream: Upstream;

  constructor(exchange: Downstream, upstream: Upstream) {
    this.exchange = exchange;
    this.upstream = upstream;
  }

  onData(chunk: Buffer, end: boolean): void {
    this.upstream.write(chunk, end);
    this.exchange.consumed(chunk.length);
  }

  onTrailers(trailers: Headers): void {
    this.upstream.trailers(trailers);
  }

  onReset(error: ProxyError): void {
    this.upstream.reset(error);
  }

  onWritable(): void {}

  onDone(): void {}
}

function dispatch(exchange: Downstream): void {
  const receiver = new ToDownstream(exchange);
  const upstream = lease().open(exchange.head, exchange.endOfRequest, receiver);
  receiver.upstream = upstream;
  exchange.receiver = new ToUpstream(exchange, upstream);
}

let accepted = 0;

const describe = (socket: Socket): DownstreamConnection => ({
  id: ++accepted,
  remoteIp: socket.remoteAddress ?? '',
  remotePort: socket.remotePort ?? 0,
  destinationIp: socket.localAddress ?? '',
  destinationPort: socket.localPort ?? 0,
  peer: undefined,
  tls: false,
});

const options: Http1ServerOptions = {
  limits: defaultHttpLimits,
  dispatch,
  clock: systemClock,
  recorder,
  direction: 'outbound',
};

const serve = wire === 'h2' ? serveHttp2 : serveHttp1;
const server = createServer({ noDelay: true, allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
  serve(socket, describe(socket), options);
});
server.listen({ host: '127.0.0.1', port: Number(listenPort) }, () => process.stdout.write('listening\n'));
