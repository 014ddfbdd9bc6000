/**
 * Weft's own codecs with nothing between them, as a reference line: `floor.ts h1|h2 LISTEN_PORT TO_PORT`. What a sidecar
 * costs beyond this is what its features cost.
 */
import { connect, createServer, type Socket } from 'node:net';
import { systemClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import type {
  Downstream,
  DownstreamConnection,
  RequestReceiver,
  ResponseReceiver,
  Upstream,
  UpstreamConnection,
} from '@weft/sidecar/http/exchange';
import { connectHttp1 } from '@weft/sidecar/http/h1/client';
import { serveHttp1 } from '@weft/sidecar/http/h1/server';
import type { Http1ServerOptions } from '@weft/sidecar/http/h1/server-options';
import { connectHttp2 } from '@weft/sidecar/http/h2/client';
import { serveHttp2 } from '@weft/sidecar/http/h2/server';
import type { Recorder } from '@weft/sidecar/telemetry/record';

const [wire = '', listenPort = '', toPort = ''] = process.argv.slice(2);

/** Nothing is recorded; what goes wrong is seen by the load. */
const recorder: Recorder = {
  record: () => undefined,
  tcpOpened: () => () => undefined,
  connection: () => undefined,
  count: (event) => void process.stderr.write(`${event}\n`),
};

const connections: UpstreamConnection[] = [];

function lease(): UpstreamConnection {
  const free = connections.find((connection) => connection.available > 0);
  if (free !== undefined) return free;
  const socket = connect({ host: '127.0.0.1', port: Number(toPort), noDelay: true });
  const transport = { socket, alpn: '', peer: undefined, localIp: '' };
  const made =
    wire === 'h2' ? connectHttp2(transport, { clock: systemClock, recorder }) : connectHttp1(transport, { recorder });
  connections.push(made);
  return made;
}

function toDownstream(exchange: Downstream): ResponseReceiver & { upstream: Upstream | undefined } {
  return {
    upstream: undefined,
    onInterim: (head) => exchange.interim(head),
    onHead: (head, end) => exchange.respond(head, end),
    onData(chunk, end) {
      exchange.write(chunk, end);
      this.upstream?.consumed(chunk.length);
    },
    onTrailers: (trailers) => exchange.trailers(trailers),
    onReset: (error) => exchange.reset(error),
    onWritable: () => undefined,
  };
}

const toUpstream = (exchange: Downstream, upstream: Upstream): RequestReceiver => ({
  onData(chunk, end) {
    upstream.write(chunk, end);
    exchange.consumed(chunk.length);
  },
  onTrailers: (trailers) => upstream.trailers(trailers),
  onReset: (error) => upstream.reset(error),
  onWritable: () => undefined,
  onDone: () => undefined,
});

function dispatch(exchange: Downstream): void {
  const receiver = toDownstream(exchange);
  const upstream = lease().open(exchange.head, exchange.endOfRequest, receiver);
  receiver.upstream = upstream;
  exchange.receiver = toUpstream(exchange, upstream);
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
