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

/** How much of something each of many may have at a time. */
export class Shares<Of> {
  private readonly max: number;
  private readonly taken = new Map<Of, number>();

  constructor(max: number) {
    this.max = max;
  }

  /** False: there is no more, and nothing was taken. */
  take(of: Of, amount = 1): boolean {
    const before = this.taken.get(of) ?? 0;
    if (before + amount > this.max) return false;
    this.taken.set(of, before + amount);
    return true;
  }

  giveBack(of: Of, amount = 1): void {
    const left = (this.taken.get(of) ?? 0) - amount;
    if (left > 0) this.taken.set(of, left);
    else this.taken.delete(of);
  }

  /** What was taken is given back when the holder closes. */
  hold(of: Of, holder: Holder): boolean {
    if (!this.take(of)) return false;
    holder.once('close', () => this.giveBack(of));
    return true;
  }
}

/**
 * How much all senders, each address, and each network may have: a machine may choose from all addresses of an IPv6 /64, and
 * in a cluster the pods of a node share one with each other and with the kubelet. With twice the share of an address for a
 * network, nobody with one address keeps his neighbours out, and nobody with many keeps out the rest.
 */
export class SourceShares {
  private readonly all: Shares<undefined>;
  private readonly networks: Shares<string>;
  private readonly addresses: Shares<string>;

  constructor(max: { readonly all: number; readonly ofAddress: number }) {
    this.all = new Shares(max.all);
    this.networks = new Shares(2 * max.ofAddress);
    this.addresses = new Shares(max.ofAddress);
  }

  /** False: there is no room, and nothing was taken. */
  take(address: string, amount = 1): boolean {
    if (!this.addresses.take(address, amount)) return false;
    const network = networkOf(address);
    if (this.networks.take(network, amount)) {
      if (this.all.take(undefined, amount)) return true;
      this.networks.giveBack(network, amount);
    }
    this.addresses.giveBack(address, amount);
    return false;
  }

  giveBack(address: string, amount = 1): void {
    this.addresses.giveBack(address, amount);
    this.networks.giveBack(networkOf(address), amount);
    this.all.giveBack(undefined, amount);
  }

  /** What was taken is given back when the holder closes. */
  hold(address: string, holder: Holder): boolean {
    if (!this.take(address)) return false;
    holder.once('close', () => this.giveBack(address));
    return true;
  }
}

/** Of IPv6 the /64; of IPv4, of which nobody has a choice, the address as the kernel writes it. */
export function networkOf(address: string): string {
  const [, mapped] = /^::ffff:([0-9.]+)$/i.exec(address) ?? [];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const groups = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const last = tail === '' ? [] : tail.split(':');
    while (groups.length + last.length < 8) groups.push('0');
    groups.push(...last);
  }
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/** Bounds the connections of a server in all and for each source, before anything is read of them. */
export function boundConnections(
  server: Bounded,
  max: { readonly all: number; readonly ofAddress: number },
  onRefused: () => void,
): void {
  const sources = new SourceShares(max);
  server.maxConnections = max.all;
  server.on('drop', onRefused);
  server.on('connection', (socket) => {
    if (sources.hold(socket.remoteAddress ?? '', socket)) return;
    onRefused();
    socket.destroy();
  });
}
