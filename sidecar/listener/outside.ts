/** Connections to destinations that are not of the mesh: which chain takes them, and whether they may leave at all. */
import type { Socket } from 'node:net';
import { BLACKHOLE, UNKNOWN_SERVICE } from '@weft/policies/model/egress';
import type { FilterChain, Listener } from '@weft/policies/model/listener';
import { type ConnectionFacts, FilterChainMatcher } from './filter-chain-match.ts';
import type { FirstWords, FirstWordsOptions } from './first-words.ts';
import { earlyDial, listenToBoth, type Opening } from './opening.ts';
import { nameIn } from './seen-name.ts';

/** The chains of a listener that are for the outside. */
export class OutsideChains {
  private readonly matcher: FilterChainMatcher;
  /** Ports on which first bytes decide. */
  private readonly lookedAt = new Set<number>();

  constructor(chains: readonly FilterChain[]) {
    const isFallback = ({ match }: FilterChain): boolean => match.destinationPort === undefined;
    this.matcher = new FilterChainMatcher({
      filterChains: chains.filter((chain) => !isFallback(chain)),
      defaultFilterChain: chains.find(isFallback),
    });
    for (const { match } of chains) {
      if (match.destinationPort === undefined) continue;
      if (match.serverNames.length > 0 || match.transportProtocol !== undefined)
        this.lookedAt.add(match.destinationPort);
    }
  }

  find(facts: ConnectionFacts): FilterChain | undefined {
    return this.matcher.find(facts);
  }

  looksAt(port: number): boolean {
    return this.lookedAt.has(port);
  }
}

/** Undefined: the listener says nothing about the outside. */
export function outsideChains({ filterChains }: Listener): OutsideChains | undefined {
  const chains = filterChains.filter(({ outside }) => outside !== undefined);
  return chains.length === 0 ? undefined : new OutsideChains(chains);
}

/** Whether the chain is there to refuse. */
export const refuses = ({ terminal }: FilterChain): boolean =>
  terminal.kind === 'tcp' && terminal.clusters.every(({ name }) => name === BLACKHOLE);

export const serviceOf = (chain: FilterChain): string => chain.outside?.service ?? UNKNOWN_SERVICE;

/**
 * Reads as much as the decision needs. Nothing, where address and port decide; the first words on declared ports, with an
 * early connection to hear a server that speaks first if it may be called; and the name of what is about to be refused,
 * for the log, as long as it comes at once.
 */
export function listenOutside(
  socket: Socket,
  opening: Opening,
  options: Pick<FirstWordsOptions, 'bytes'> & { readonly opaque: FilterChain | undefined; readonly looksAt: boolean },
  done: (words: FirstWords | undefined) => void,
): void {
  const { opaque, looksAt, bytes } = options;
  const refused = opaque === undefined || refuses(opaque);
  if (!looksAt && !refused) {
    done(undefined);
    return;
  }
  const detectMs = opening.runtime.listener.detectTimeoutMs;
  const dial = looksAt && !refused ? earlyDial(opening, opaque, undefined) : undefined;
  const silenceMs = looksAt && dial === undefined ? Math.max(detectMs, opening.handshakeTimeoutMs) : detectMs;
  listenToBoth(socket, opening, { bytes, dial, silenceMs, opaque }, done);
}

export function nameOf(words: FirstWords | undefined): string {
  if (words === undefined) return '';
  const { detection, bytes } = words;
  if (detection.kind === 'tls') return detection.serverName;
  return detection.kind === 'http1' && bytes !== undefined ? nameIn(bytes) : '';
}
