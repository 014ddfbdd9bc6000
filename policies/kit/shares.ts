/** Whatever says once that it is over: a socket, an answer. */
interface Holder {
  once(event: 'close', listener: () => void): unknown;
}

/** A server of `node:net`, and what is made of it. */
interface Bounded {
  maxConnections: number;
  on(event: 'drop', listener: () => void): unknown;
  on(event: 'connection', listener: (socket: Connection) => void): unknown;
}

interface Connection extends Holder {
  readonly remoteAddress?: string | undefined;
  destroy(): unknown;
}

/** How much of something one of many may have at a time. */
export class Shares<Of> {
  private readonly max: number;
  private readonly taken = new Map<Of, number>();

  constructor(max: number) {
    this.max = max;
  }

  /** False: there is no more. What was taken is given back when the holder closes. */
  take(of: Of, holder: Holder): boolean {
    const before = this.taken.get(of) ?? 0;
    if (before >= this.max) return false;
    this.taken.set(of, before + 1);
    holder.once('close', () => {
      const left = (this.taken.get(of) ?? 1) - 1;
      if (left > 0) this.taken.set(of, left);
      else this.taken.delete(of);
    });
    return true;
  }
}

/** Bounds the connections of a server in all and for each address, before anything is read of them. */
export function boundConnections(
  server: Bounded,
  max: { readonly all: number; readonly ofAddress: number },
  onRefused: () => void,
): void {
  const addresses = new Shares<string>(max.ofAddress);
  server.maxConnections = max.all;
  server.on('drop', onRefused);
  server.on('connection', (socket) => {
    if (addresses.take(socket.remoteAddress ?? '', socket)) return;
    onRefused();
    socket.destroy();
  });
}
