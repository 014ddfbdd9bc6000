import type { RequestHead } from '../http/exchange.ts';
import type { RequestContext } from './context.ts';
import type { FilterChain, Refusal } from './filter.ts';

/** A tunnel that was let in, and what it was asked for: the head itself is rewritten for the upstream. */
interface OpenTunnel {
  readonly context: RequestContext;
  readonly asked: RequestHead;
  end(verdict: Refusal): void;
}

/** Tunnels and WebSockets by the connection that they came in on: no later request of theirs asks any rule. */
export class OpenTunnels {
  private readonly byConnection = new Map<number, Set<OpenTunnel>>();

  /** Returns what is to be called when it is over. */
  open(tunnel: OpenTunnel): () => void {
    const { id } = tunnel.context.connection;
    let tunnels = this.byConnection.get(id);
    if (tunnels === undefined) {
      tunnels = new Set();
      this.byConnection.set(id, tunnels);
    }
    tunnels.add(tunnel);
    const mine = tunnels;
    return () => {
      mine.delete(tunnel);
      if (mine.size === 0 && this.byConnection.get(id) === mine) this.byConnection.delete(id);
    };
  }

  /** Asks the rules of now about the tunnels of one connection, and ends those that they refuse. */
  recheck(connectionId: number, filters: FilterChain): void {
    const tunnels = this.byConnection.get(connectionId);
    if (tunnels === undefined || filters.authorizes.length === 0) return;
    for (const tunnel of [...tunnels]) {
      const verdict = verdictOn(tunnel, filters);
      if (verdict !== undefined) tunnel.end(verdict);
    }
  }
}

function verdictOn({ context, asked }: OpenTunnel, filters: FilterChain): Refusal | undefined {
  // The same request as its filters saw it, under a head that nobody has rewritten.
  const again: RequestContext = Object.assign(Object.create(context), { head: asked });
  for (const filter of filters.authorizes) {
    const verdict = filter.authorizes(again);
    if (verdict === undefined) continue;
    context.rule = again.rule;
    return verdict;
  }
  return undefined;
}

/** What rules read of a head, kept apart from what is done to it later. */
export const asAsked = (head: RequestHead): RequestHead => ({ ...head, headers: head.headers.clone() });
