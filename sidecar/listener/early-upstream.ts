import type { SocketAddress } from '@weft/policies/model/address';
import type { ProxyError } from '../http/errors.ts';
import type { TcpSource, TcpUpstream, TcpUpstreams } from '../tcp/proxy.ts';

type Connected = TcpUpstream | { readonly error: ProxyError };

/**
 * A connection to the upstream that was opened before it is known whether one for opaque bytes is needed: to hear
 * whether the server speaks first. Nothing is sent on it. Whoever proxies the connection takes it over as the first
 * connection to its cluster; otherwise it is closed.
 */
export class EarlyUpstream implements TcpUpstreams {
  readonly cluster: string;
  /** The server sent something, which is kept for whoever takes the connection over. */
  spoke = false;
  /** It could not be opened, or the server ended it without a word. */
  gone = false;
  /** When either turns true. */
  onChange: () => void = () => undefined;
  private readonly dialling: { cancel(): void };
  private connected: Connected | undefined = undefined;
  private taker: ((result: Connected) => void) | undefined = undefined;
  private over = false;

  constructor(upstreams: TcpUpstreams, cluster: string, destination: SocketAddress, source: TcpSource) {
    this.cluster = cluster;
    this.dialling = upstreams.connect(cluster, destination, (result) => this.onConnected(result), '', source);
  }

  /** Hands the connection over, now or when it is there. */
  connect(_cluster: string, _destination: SocketAddress, done: (result: Connected) => void): { cancel(): void } {
    this.onChange = () => undefined;
    if (this.connected === undefined) this.taker = done;
    else this.handOver(this.connected, done);
    return { cancel: () => this.close() };
  }

  /** Unless it was handed over. */
  close(): void {
    if (this.over) return;
    this.over = true;
    this.dialling.cancel();
    const { connected } = this;
    if (connected === undefined || 'error' in connected) return;
    connected.transport.socket.destroy();
    connected.release();
  }

  private onConnected(result: Connected): void {
    this.connected = result;
    if (this.taker !== undefined) {
      this.handOver(result, this.taker);
      return;
    }
    if ('error' in result) {
      this.turnGone();
      return;
    }
    const { socket } = result.transport;
    socket.on('error', this.onError);
    socket.on('data', this.onData);
    socket.on('end', this.onGone);
    socket.on('close', this.onGone);
    socket.resume();
  }

  private handOver(result: Connected, done: (result: Connected) => void): void {
    this.over = true;
    if (!('error' in result)) this.ignore(result);
    done(result);
  }

  private readonly onError = (): void => undefined;

  private readonly onData = (chunk: Buffer): void => {
    if (this.connected === undefined || 'error' in this.connected) return;
    this.ignore(this.connected);
    const { socket } = this.connected.transport;
    socket.pause();
    socket.unshift(chunk);
    this.spoke = true;
    this.onChange();
  };

  private readonly onGone = (): void => this.turnGone();

  private turnGone(): void {
    if (this.gone || this.over) return;
    this.gone = true;
    this.onChange();
  }

  private ignore({ transport: { socket } }: TcpUpstream): void {
    socket.removeListener('data', this.onData);
    socket.removeListener('end', this.onGone);
    socket.removeListener('close', this.onGone);
  }
}
