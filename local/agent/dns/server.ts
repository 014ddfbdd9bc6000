import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { encodeError, encodeResponse, parseQuery, RCODE, udpBytesMax } from './message.ts';
import { resolve, type Zone } from './records.ts';
import { type Forward, frame } from './upstream.ts';

interface DnsOptions {
  readonly addresses: readonly string[];
  readonly port: number;
  readonly domain: string;
  readonly zone: Zone;
  readonly forward: Forward;
  readonly onError: (message: string) => void;
}

interface DnsServer {
  readonly counters: Readonly<Record<'queries' | 'forwarded' | 'malformed' | 'refusedConnections', number>>;
  close(): Promise<void>;
}

const TCP_BYTES_MAX = 65_535;
const TCP_IDLE_MS_MAX = 10_000;
const TCP_CONNECTIONS_MAX = 256;

class ClusterDns implements DnsServer {
  readonly #options: DnsOptions;
  readonly #udp: UdpSocket[] = [];
  readonly #tcp: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly counters = { queries: 0, forwarded: 0, malformed: 0, refusedConnections: 0 };

  constructor(options: DnsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    for (const address of this.#options.addresses) {
      await this.#listenUdp(address);
      await this.#listenTcp(address);
    }
  }

  /** The bytes to send back, or nothing when there is nobody sensible to answer. */
  async answer(message: Buffer, overTcp: boolean): Promise<Buffer | undefined> {
    const parsed = parseQuery(message);
    this.counters.queries += 1;
    if (!parsed.ok) {
      this.counters.malformed += 1;
      return parsed.id === undefined ? undefined : encodeError(parsed.id, parsed.rcode);
    }
    const { query } = parsed;
    const bytesMax = overTcp ? TCP_BYTES_MAX : udpBytesMax(query);
    const answer = resolve(this.#options.zone, this.#options.domain, query.question);
    if (answer.kind === 'answer') return encodeResponse(query, answer.response, bytesMax);
    this.counters.forwarded += 1;
    const forwarded = await this.#options.forward(message);
    const failed = { rcode: RCODE.servFail, authoritative: false, answers: [], authority: [], additional: [] };
    if (forwarded === undefined) return encodeResponse(query, failed, bytesMax);
    // Too large for this client's UDP: cut to the header with TC set; it comes again by TCP.
    if (forwarded.length > bytesMax) {
      const cut = encodeResponse(query, { ...failed, rcode: RCODE.noError }, bytesMax);
      cut.writeUInt16BE(cut.readUInt16BE(2) | 0x0200, 2);
      return cut;
    }
    return forwarded;
  }

  #listenUdp(address: string): Promise<void> {
    const socket = createSocket(address.includes(':') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
    this.#udp.push(socket);
    socket.on('message', (message, from) => {
      void this.answer(message, false).then((answer) => {
        if (answer !== undefined) socket.send(answer, from.port, from.address, () => {});
      });
    });
    return new Promise((done, reject) => {
      socket.once('error', reject);
      socket.bind({ address, port: this.#options.port, exclusive: true }, () => {
        socket.removeListener('error', reject);
        socket.on('error', (error) => this.#options.onError(`dns: ${error.message}`));
        done();
      });
    });
  }

  #listenTcp(address: string): Promise<void> {
    const server = createServer((socket) => this.#serve(socket));
    server.maxConnections = TCP_CONNECTIONS_MAX;
    server.on('drop', () => {
      this.counters.refusedConnections += 1;
    });
    this.#tcp.push(server);
    return new Promise((done, reject) => {
      server.once('error', reject);
      server.listen({ host: address, port: this.#options.port, ipv6Only: true }, () => {
        server.removeListener('error', reject);
        server.on('error', (error) => this.#options.onError(`dns: ${error.message}`));
        done();
      });
    });
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(TCP_IDLE_MS_MAX, () => socket.destroy());
    let received: Buffer = Buffer.alloc(0);
    let busy = false;
    // One question at a time keeps what a client can make us hold small.
    const next = async (): Promise<void> => {
      if (busy) return;
      busy = true;
      while (received.length >= 2 && received.length >= received.readUInt16BE(0) + 2) {
        const size = received.readUInt16BE(0);
        const message = received.subarray(2, size + 2);
        received = received.subarray(size + 2);
        const answer = await this.answer(message, true);
        if (answer !== undefined && socket.writable) socket.write(frame(answer));
      }
      busy = false;
    };
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (received.length > 2 * TCP_BYTES_MAX) socket.destroy();
      else void next();
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([
      ...this.#udp.map((socket) => new Promise<void>((done) => socket.close(() => done()))),
      ...this.#tcp.map((server) => new Promise<void>((done) => server.close(() => done()))),
    ]);
  }
}

export async function startDns(options: DnsOptions): Promise<DnsServer> {
  const server = new ClusterDns(options);
  await server.start();
  return server;
}
