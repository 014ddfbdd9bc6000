import type { FilterChain, Listener } from '@weft/policies/model/listener';
import { IpRange } from '../net/addresses.ts';

/** What a connection is matched by. */
export interface ConnectionFacts {
  readonly destinationIp: string;
  readonly destinationPort: number;
  /** Lower case; empty without SNI. */
  readonly serverName: string;
  readonly transport: 'tls' | 'raw_buffer';
  /** ALPN of TLS, or `http/1.0`, `http/1.1`, `h2c` as detected. */
  readonly applicationProtocols: readonly string[];
}

interface Candidate {
  readonly chain: FilterChain;
  readonly ranges: readonly IpRange[];
}

/**
 * Picks a chain as Envoy does (FilterChainMatch in listener_components.proto): criterion by criterion, the most specific
 * value that matches decides, and there is no way back to a less specific one.
 */
export class FilterChainMatcher {
  private readonly byPort = new Map<number, Candidate[]>();
  private readonly anyPort: Candidate[] = [];
  private readonly fallback: FilterChain | undefined;
  /** Some chain is told apart by first bytes: without, a connection needs no detection. */
  readonly needsDetection: boolean;

  constructor(listener: Pick<Listener, 'filterChains' | 'defaultFilterChain'>) {
    this.fallback = listener.defaultFilterChain;
    let needsDetection = false;
    for (const chain of listener.filterChains) {
      const { match } = chain;
      const candidate = { chain, ranges: match.destinationRanges.map((range) => new IpRange(range)) };
      needsDetection ||=
        match.serverNames.length > 0 || match.transportProtocol !== undefined || match.applicationProtocols.length > 0;
      if (match.destinationPort === undefined) this.anyPort.push(candidate);
      else {
        const same = this.byPort.get(match.destinationPort);
        if (same === undefined) this.byPort.set(match.destinationPort, [candidate]);
        else same.push(candidate);
      }
    }
    this.needsDetection = needsDetection;
  }

  find(facts: ConnectionFacts): FilterChain | undefined {
    let left = this.byPort.get(facts.destinationPort) ?? this.anyPort;
    left = byDestination(left, facts.destinationIp);
    left = byServerName(left, facts.serverName);
    left = byTransport(left, facts.transport);
    left = byProtocols(left, facts.applicationProtocols);
    return left[0]?.chain ?? this.fallback;
  }
}

function byDestination(candidates: Candidate[], ip: string): Candidate[] {
  let best = -1;
  let found: Candidate[] = [];
  for (const candidate of candidates) {
    let bits = -1;
    if (candidate.ranges.length === 0) bits = 0;
    for (const range of candidate.ranges) {
      // Any range is more specific than none.
      if (range.prefixBits + 1 > bits && range.contains(ip)) bits = range.prefixBits + 1;
    }
    if (bits === -1 || bits < best) continue;
    if (bits > best) found = [];
    best = bits;
    found.push(candidate);
  }
  return found;
}

/** Exact name, then the longest `*.suffix`, then chains without names. */
function byServerName(candidates: Candidate[], name: string): Candidate[] {
  const rank = (pattern: string): number => {
    if (pattern === name) return name.length + 1;
    return pattern.startsWith('*.') && name.endsWith(pattern.slice(1)) ? pattern.length - 1 : -1;
  };
  let best = 0;
  let found: Candidate[] = [];
  for (const candidate of candidates) {
    const names = candidate.chain.match.serverNames;
    const score = names.length === 0 ? 0 : name === '' ? -1 : Math.max(...names.map(rank));
    if (score < best) continue;
    if (score > best) found = [];
    best = score;
    found.push(candidate);
  }
  return found;
}

function byTransport(candidates: Candidate[], transport: ConnectionFacts['transport']): Candidate[] {
  const exact = candidates.filter(({ chain }) => chain.match.transportProtocol === transport);
  return exact.length > 0 ? exact : candidates.filter(({ chain }) => chain.match.transportProtocol === undefined);
}

function byProtocols(candidates: Candidate[], protocols: readonly string[]): Candidate[] {
  for (const protocol of protocols) {
    const exact = candidates.filter(({ chain }) => chain.match.applicationProtocols.includes(protocol));
    if (exact.length > 0) return exact;
  }
  return candidates.filter(({ chain }) => chain.match.applicationProtocols.length === 0);
}
