import type { FilterChain, HttpConnectionManager, HttpFilter, Listener } from '@weft/policies/model/listener';
import type { Dispatch } from '../http/exchange.ts';
import { type ConnectionFacts, FilterChainMatcher } from './filter-chain-match.ts';
import { routesByDestination } from './outbound.ts';
import { type OutsideChains, outsideChains } from './outside.ts';

/** One version of a listener, made ready for connections. */
export class ListenerRuntime {
  readonly listener: Listener;
  readonly routesByDestination: boolean;
  /** Some chain is chosen by the name that TLS asks for. */
  readonly routesByServerName: boolean;
  /** For destinations that are not of the mesh; undefined: they pass through as they are. */
  readonly outside: OutsideChains | undefined;
  private readonly matcher: FilterChainMatcher;
  private readonly createDispatch: (hcm: HttpConnectionManager, listener: Listener) => Dispatch;
  private readonly dispatches = new Map<HttpConnectionManager, Dispatch>();

  constructor(listener: Listener, createDispatch: (hcm: HttpConnectionManager, listener: Listener) => Dispatch) {
    this.listener = listener;
    this.routesByDestination = routesByDestination(listener);
    this.outside = this.routesByDestination ? outsideChains(listener) : undefined;
    const filterChains =
      this.outside === undefined
        ? listener.filterChains
        : listener.filterChains.filter(({ outside }) => outside === undefined);
    this.routesByServerName = filterChains.some(({ match }) => match.serverNames.length > 0);
    this.matcher = new FilterChainMatcher({ ...listener, filterChains });
    this.createDispatch = createDispatch;
  }

  get needsDetection(): boolean {
    return this.matcher.needsDetection && (this.listener.detectTls || this.listener.detectHttp);
  }

  find(facts: ConnectionFacts): FilterChain | undefined {
    return this.matcher.find(facts);
  }

  /** Some chain of the port ends TLS itself, so that a client may be one of the mesh that has yet to begin it. */
  endsTls(port: number): boolean {
    return this.listener.filterChains.some(
      ({ tls, match }) => tls !== undefined && (match.destinationPort === undefined || match.destinationPort === port),
    );
  }

  /**
   * Rules about requests guard this destination, and none about connections stands in for them where its bytes are
   * opaque: nothing could be decided there.
   */
  needsRequests(facts: ConnectionFacts, opaque: FilterChain): boolean {
    if (opaque.terminal.kind === 'http') return false;
    const http = this.find({ ...facts, applicationProtocols: ['http/1.1'] });
    if (http?.terminal.kind !== 'http') return false;
    const { filters } = http.terminal;
    // Headers that only we may set would go past us.
    if (filters.some(setsHeaders)) return true;
    return opaque.networkRbac.length === 0 && filters.some(({ kind }) => kind === 'rbac');
  }

  /** The chain that took the place of one of an earlier version. */
  chainNamed(name: string): FilterChain | undefined {
    const { filterChains, defaultFilterChain } = this.listener;
    return [...filterChains, defaultFilterChain].find((chain) => chain?.name === name);
  }

  /** Made when the first connection needs it. */
  dispatchOf(hcm: HttpConnectionManager): Dispatch {
    let dispatch = this.dispatches.get(hcm);
    if (dispatch === undefined) {
      dispatch = this.createDispatch(hcm, this.listener);
      this.dispatches.set(hcm, dispatch);
    }
    return dispatch;
  }
}

const setsHeaders = (one: HttpFilter): boolean =>
  one.kind === 'reservedHeaders' ||
  (one.kind === 'jwt' && one.jwt.providers.some(({ claimHeaders }) => claimHeaders.length > 0));
