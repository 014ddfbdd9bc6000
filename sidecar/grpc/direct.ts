import { connect as connectTcp, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Connected, Via } from './channel.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  /** Undefined: plaintext. */
  readonly tls: ChannelTls | undefined;
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

/** Of several addresses that were tried in vain there is a code and no message. */
const reasonOf = (error: NodeJS.ErrnoException): string =>
  error.message === '' ? (error.code ?? 'failed') : error.message;

/** Straight to a host and port. */
export function direct(address: ServerAddress): Via {
  const { host, port, tls } = address;
  const literal = host.includes(':') ? `[${host}]` : host;
  return {
    name: `${host}:${port}`,
    authority: `${tls === undefined ? literal : tls.serverName}:${port}`,
    scheme: tls === undefined ? 'http' : 'https',
    connect(done) {
      const connecting = new Connecting(address, done);
      return () => connecting.cancel();
    },
  };
}

class Connecting {
  private readonly done: (result: Connected) => void;
  private socket: Socket | undefined;

  constructor({ host, port, tls, lookup }: ServerAddress, done: (result: Connected) => void) {
    this.done = done;
    const socket = connectTcp({ host, port, noDelay: true, ...(lookup === undefined ? {} : { lookup }) });
    this.follow(socket, `${host}:${port}`);
    // Not before: where a host has several addresses, Node makes each attempt with another handle, and TLS on that of the
    // first one takes the process down when a later one succeeds.
    socket.once('connect', () => {
      if (tls === undefined) this.established(socket);
      else this.secure(socket, tls);
    });
  }

  cancel(): void {
    const { socket } = this;
    this.socket = undefined;
    socket?.destroy();
  }

  private follow(socket: Socket, name: string): void {
    this.socket = socket;
    socket.on('error', (error) => this.lose(socket, `${name}: ${reasonOf(error)}`));
    socket.on('close', () => this.lose(socket, `${name} closed the connection`));
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
    this.follow(secured, serverName);
    secured.once('secureConnect', () => {
      if (secured.alpnProtocol === 'h2') this.established(secured);
      else this.lose(secured, `${serverName} does not speak HTTP/2 (ALPN h2)`);
    });
  }

  private established(socket: Socket): void {
    if (this.socket !== socket) return;
    this.socket = undefined;
    this.done({ transport: { socket, alpn: 'h2', peer: undefined, localIp: '' } });
  }

  private lose(socket: Socket, error: string): void {
    if (this.socket !== socket) return;
    this.cancel();
    this.done({ error });
  }
}
