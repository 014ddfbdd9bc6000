import type { Socket } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { SocketAddress } from '@weft/policies/model/address';
import { SLOTS, type SlotShare } from '../cluster/shared-slots.ts';
import { deadlinesOf } from '../net/deadlines.ts';
import { TlsContexts } from '../net/tls-contexts.ts';
import { ListenerConnection } from './connection.ts';
import type { ConnectionContext } from './context.ts';
import type { ListenerDeps } from './deps.ts';
import { type BoundListener, listen } from './listen.ts';
import { RecheckQueue } from './recheck-queue.ts';
import { ListenerRuntime } from './runtime.ts';
import { ServerFirstPorts } from './server-first.ts';

const CONNECTIONS_MAX = 20_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;

export interface ListenerStats {
  readonly name: string;
  readonly addresses: readonly SocketAddress[];
  readonly connections: number;
  /** Connections since the start, also those that have ended. */
  readonly accepted: number;
}

export interface ListenerManager {
  /** Resolves when every listener is known and bound, or one cannot be. */
  start(): Promise<Result<void, string>>;
  /**
   * Clients of a listener are to go elsewhere: every HTTP connection, also a new one, ends with its next response.
   * It goes on accepting, since some have not heard yet.
   */
  retire(listenerName: string): void;
  /** Accepts nothing new, lets open exchanges finish, and closes what is left after `timeoutMs`. */
  drain(timeoutMs: number): Promise<void>;
  close(): void;
  stats(): ListenerStats[];
}

export function createListenerManager(deps: ListenerDeps): ListenerManager {
  return new Manager(deps);
}

class Manager implements ListenerManager {
  private readonly deps: ListenerDeps;
  private readonly slots: readonly Slot[];
  private unsubscribe: (() => void) | undefined = undefined;
  private readonly stopFollowingTrust: () => void;

  constructor(deps: ListenerDeps) {
    this.deps = deps;
    const contexts = new TlsContexts(deps.certificates, deps);
    this.slots = deps.listenerNames.map((name) => new Slot(name, deps, contexts));
    this.stopFollowingTrust = deps.certificates.onChange(() => {
      for (const slot of this.slots) slot.recheck();
    });
  }

  async start(): Promise<Result<void, string>> {
    this.unsubscribe = this.deps.source.onChange(() => {
      for (const slot of this.slots) slot.refresh();
    });
    for (const slot of this.slots) slot.refresh();
    const results = await Promise.all(this.slots.map((slot) => slot.ready));
    return results.find((result) => !result.ok) ?? ok(undefined);
  }

  retire(listenerName: string): void {
    for (const slot of this.slots) if (slot.name === listenerName) slot.retire();
  }

  async drain(timeoutMs: number): Promise<void> {
    this.unsubscribe?.();
    const drained = Promise.all(this.slots.map((slot) => slot.drain()));
    let cancel = (): void => undefined;
    const timeout = new Promise<void>((resolve) => {
      cancel = this.deps.clock.after(timeoutMs, resolve);
    });
    await Promise.race([drained, timeout]);
    cancel();
    this.close();
  }

  close(): void {
    this.unsubscribe?.();
    this.stopFollowingTrust();
    for (const slot of this.slots) slot.close();
  }

  stats(): ListenerStats[] {
    return this.slots.map((slot) => slot.stats());
  }
}

/** The place of one listener: its current version, its sockets, its connections. */
class Slot {
  readonly ready: Promise<Result<void, string>>;
  readonly name: string;
  private readonly deps: ListenerDeps;
  private readonly context: ConnectionContext;
  private readonly connections = new Set<ListenerConnection>();
  private readonly connectionsMax: number;
  private readonly share: SlotShare | undefined;
  private runtime: ListenerRuntime | undefined = undefined;
  private bound: BoundListener[] = [];
  private boundTo = '';
  private bindEpoch = 0;
  private binding: Promise<void> = Promise.resolve();
  private closed = false;
  private retired = false;
  private accepted = 0;
  private readonly rechecks: RecheckQueue;
  private resolveReady: (result: Result<void, string>) => void = () => undefined;
  private onEmpty: () => void = () => undefined;

  constructor(name: string, deps: ListenerDeps, contexts: TlsContexts) {
    this.name = name;
    this.deps = deps;
    this.rechecks = new RecheckQueue(deps.clock);
    this.connectionsMax = deps.connectionsMax ?? CONNECTIONS_MAX;
    this.share = deps.sharing?.connectionsOf(name);
    this.ready = new Promise((resolve) => {
      this.resolveReady = resolve;
    });
    this.context = {
      deps,
      contexts,
      deadlines: deadlinesOf(deps.clock),
      handshakeTimeoutMs: deps.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      serverFirst: new ServerFirstPorts(deps.clock),
      current: () => this.runtime,
      onClosed: (connection) => {
        this.connections.delete(connection);
        this.share?.set(SLOTS.connections, this.connections.size);
        if (this.connections.size === 0) this.onEmpty();
      },
    };
  }

  /** Open connections keep their TLS and protocol, as long as they would be let in; their next requests obey the new version. */
  refresh(): void {
    if (this.closed) return;
    const lookup = this.deps.source.lookup('listener', this.name);
    if (lookup.state === 'pending') return;
    if (lookup.state === 'absent') {
      this.remove();
      return;
    }
    const listener = lookup.value;
    if (this.runtime?.listener === listener) return;
    this.runtime = new ListenerRuntime(listener, this.deps.createDispatch);
    this.recheck();
    for (const bound of this.bound) bound.limitBuffers(listener.bufferBytesMax);
    const addresses = JSON.stringify(listener.addresses);
    if (addresses === this.boundTo) return;
    this.boundTo = addresses;
    const epoch = ++this.bindEpoch;
    // One after the other: two at once could want the same port.
    this.binding = this.binding.then(() => this.bind(listener.addresses, epoch));
  }

  /** Open connections are to be what rules and trust of now let in. */
  recheck(): void {
    this.rechecks.all(this.connections);
  }

  retire(): void {
    this.retired = true;
    for (const connection of this.connections) connection.retire();
  }

  async drain(): Promise<void> {
    this.stopAccepting();
    this.closed = true;
    for (const connection of [...this.connections]) connection.drain();
    if (this.connections.size === 0) return;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
    });
  }

  close(): void {
    this.rechecks.stop();
    this.closed = true;
    this.stopAccepting();
    for (const connection of [...this.connections]) connection.destroy();
  }

  stats(): ListenerStats {
    return {
      name: this.name,
      addresses: this.bound.map(({ address }) => address),
      connections: this.connections.size,
      accepted: this.accepted,
    };
  }

  private async bind(addresses: readonly SocketAddress[], epoch: number): Promise<void> {
    if (this.closed || epoch !== this.bindEpoch) return;
    // What stays is not touched: closing a socket resets the connections that wait to be accepted.
    const kept = this.bound.filter((listener) => addresses.some((address) => sameAddress(listener.wanted, address)));
    const before = this.bound.filter((listener) => !kept.includes(listener));
    this.bound = kept;
    for (const listener of before) listener.close();
    const opened: BoundListener[] = [];
    for (const address of addresses) {
      if (kept.some((listener) => sameAddress(listener.wanted, address))) continue;
      const result = await listen({
        address,
        connectionsMax: this.connectionsMax,
        reusePort: this.deps.sharing !== undefined,
        recorder: this.deps.recorder,
        bufferBytesMax: this.runtime?.listener.bufferBytesMax,
        onSocket: (socket) => this.accept(socket),
      });
      if (result.ok) opened.push(result.value);
      else {
        this.deps.recorder.count('listener.bind_failed');
        // The next change of configuration tries again.
        if (epoch === this.bindEpoch) this.boundTo = '';
        this.resolveReady(err(`listener ${this.name}: ${result.error}`));
      }
    }
    if (this.closed || epoch !== this.bindEpoch) {
      for (const listener of opened) listener.close();
      return;
    }
    this.bound = [...kept, ...opened];
    this.resolveReady(ok(undefined));
  }

  /** With one thread the kernel's queue is where connections beyond the bound end, before they cost anything. */
  private admits(): boolean {
    const { recorder, overload } = this.deps;
    if (overload?.shouldShed === true) {
      recorder.count('overload.connection_closed');
      return false;
    }
    const { share } = this;
    if (share === undefined) return true;
    share.set(SLOTS.connections, this.connections.size + 1);
    if (share.total(SLOTS.connections) <= this.connectionsMax) return true;
    share.set(SLOTS.connections, this.connections.size);
    recorder.count('listener.connections_max');
    return false;
  }

  private accept(socket: Socket): void {
    if (this.runtime === undefined || this.closed || !this.admits()) {
      socket.destroy();
      return;
    }
    const connection = new ListenerConnection(this.context, this.runtime, socket);
    this.connections.add(connection);
    this.accepted++;
    if (this.retired) connection.retire();
    connection.start();
  }

  private remove(): void {
    if (this.runtime === undefined) return;
    this.runtime = undefined;
    this.stopAccepting();
    for (const connection of [...this.connections]) connection.drain();
  }

  private stopAccepting(): void {
    for (const listener of this.bound) listener.close();
    this.bound = [];
    this.boundTo = '';
    this.bindEpoch++;
  }
}

const sameAddress = (a: SocketAddress, b: SocketAddress): boolean => a.ip === b.ip && a.port === b.port;
