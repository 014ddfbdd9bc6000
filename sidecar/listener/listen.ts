import { createServer, type Server, type Socket } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import { hostPort } from '../net/connection-record.ts';
import { usualOr } from '../net/watermark.ts';
import type { Recorder } from '../telemetry/record.ts';

interface ListenOptions {
  readonly address: SocketAddress;
  readonly connectionsMax: number;
  /** Other threads listen at the same address, and the kernel spreads connections over them. */
  readonly reusePort: boolean;
  readonly recorder: Recorder;
  /** What may wait to be sent on a connection; absent: as much as usual. */
  readonly bufferBytesMax?: number | undefined;
  readonly onSocket: (socket: Socket) => void;
}

export interface BoundListener {
  /** With the port that the kernel chose if it was 0. */
  readonly address: SocketAddress;
  /** As it was asked for. */
  readonly wanted: SocketAddress;
  /** Of connections from now on. */
  limitBuffers(bytesMax: number | undefined): void;
  /** Accepts nothing more; what is open stays. */
  close(): void;
}

/** Binds an address; `::` takes IPv4 too. Connections arrive paused and half-open. */
export async function listen(options: ListenOptions): Promise<Result<BoundListener, string>> {
  const bound = await bind(options, options.address.ip);
  // A kernel without IPv6 has no dual stack either.
  if (!bound.ok && options.address.ip === '::' && bound.error.code === 'EAFNOSUPPORT') {
    return describe(await bind(options, '0.0.0.0'), options.address);
  }
  return describe(bound, options.address);
}

function describe(
  bound: Result<BoundListener, NodeJS.ErrnoException>,
  address: SocketAddress,
): Result<BoundListener, string> {
  if (bound.ok) return bound;
  return err(`cannot listen on ${hostPort(address.ip, address.port)}: ${bound.error.code ?? bound.error.message}`);
}

function bind(options: ListenOptions, host: string): Promise<Result<BoundListener, NodeJS.ErrnoException>> {
  const { address, recorder } = options;
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, options.onSocket);
  const limitBuffers = (bytes: number | undefined): unknown => Reflect.set(server, 'highWaterMark', usualOr(bytes));
  limitBuffers(options.bufferBytesMax);
  server.maxConnections = options.connectionsMax;
  server.on('drop', () => recorder.count('listener.connections_max'));
  return new Promise((resolve) => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(err(error));
    server.once('error', onError);
    server.listen({ host, port: address.port, backlog: 4_096, reusePort: options.reusePort }, () => {
      server.removeListener('error', onError);
      // Out of descriptors, most often: the next connection may succeed again.
      server.on('error', (error: NodeJS.ErrnoException) => {
        recorder.count(`listener.accept_${error.code ?? 'error'}`);
      });
      const actual = server.address();
      const port = actual !== null && typeof actual === 'object' ? actual.port : address.port;
      resolve(ok({ address: { ip: host, port }, wanted: address, limitBuffers, close: () => void server.close() }));
    });
  });
}
