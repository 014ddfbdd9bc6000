import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { type Cluster, defaultClusterLimits } from '@weft/policies/model/cluster';
import type { ForwardAction } from '@weft/policies/model/route';
import type { Dispatch } from '../http/exchange.ts';
import { testConnection } from '../http/h1/testing.ts';
import { Headers } from '../http/headers.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import { ActiveCalls } from './hop/calls.ts';
import { forwardTo, requestHead, routes, testCluster, testEndpoint, testHcm, World } from './testing.ts';
import {
  type Answer,
  type Handler,
  type Later,
  type ServedRequest,
  TestDownstream,
  type TestServer,
} from './testing-peers.ts';

const caller = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/caller');
const peer: PeerCertificateInfo = {
  spiffeId: caller.ok ? caller.value : undefined,
  subjectAltNames: [],
  fingerprint: 'AB',
  notAfterUnixMs: 0,
  notBeforeUnixMs: 0,
  serialHex: '',
};
export const meshConnection = { ...testConnection, peer };

export interface HopOptions {
  readonly action: Partial<ForwardAction>;
  readonly cluster?: Partial<Cluster>;
  /** What the application hands on of the fields of a request. */
  readonly propagates?: readonly string[];
}

/** One pod of a chain: an application that calls the next pod for each request, between the two sides of its sidecar. */
export class Pod {
  readonly world: World;
  readonly app: TestServer;
  /** How the application does its own part, and what it makes of the answer of the next. */
  workMs = 1;
  private readonly inbound: Dispatch;
  private readonly outbound: Dispatch;
  private readonly propagates: readonly string[];

  constructor(seed: number, clock: ManualClock, { action, cluster, propagates }: HopOptions, next: Pod | undefined) {
    this.world = new World(seed, { clock });
    this.propagates = propagates ?? ['x-request-id'];
    const calls = new ActiveCalls();
    const { world } = this;
    world.source.cluster(testCluster('app', { meshTls: false }));
    world.source.assignment('app', [testEndpoint('127.0.0.1', 8080)]);
    world.source.cluster(testCluster('next', { protocol: 'http2', limits: defaultClusterLimits, ...cluster }));
    world.source.assignment('next', [testEndpoint('10.0.0.2', 80, { mtls: true, spiffeId: peer.spiffeId })]);
    const here = routes('in', forwardTo('app'));
    const there = routes('out', forwardTo('next', action));
    this.inbound = world.dispatch(testHcm({ kind: 'inline', config: here }), 'inbound', { calls });
    this.outbound = world.dispatch(testHcm({ kind: 'inline', config: there }), 'outbound', { calls });
    this.app = world.server('127.0.0.1', 8080, (request, later) => this.work(request, later, next));
    if (next !== undefined) world.server('10.0.0.2', 80, next.asServer());
  }

  /** The last of a chain answers by itself. */
  set answers(handler: Handler) {
    this.app.handler = handler;
  }

  /** As the sidecar of the pod before sees it. */
  asServer(): Handler {
    return (request, later) => {
      const exchange = this.receive(request.head.headers.clone(), request.head.method);
      exchange.onEnd = () => later.answer(outcome(exchange));
      later.onAbort = () => abort(exchange);
      if (exchange.ended) exchange.onEnd();
      return 'hang';
    };
  }

  /** A request from another pod of the mesh. */
  receive(headers = new Headers(), method = 'GET'): TestDownstream {
    const exchange = new TestDownstream(requestHead({ headers, method }), true, meshConnection);
    this.inbound(exchange);
    return exchange;
  }

  receiveFrom(exchange: TestDownstream): void {
    this.inbound(exchange);
  }

  /** A request of the application itself. */
  call(headers = new Headers(), method = 'GET'): TestDownstream {
    const exchange = new TestDownstream(requestHead({ headers, method }), true, testConnection);
    this.outbound(exchange);
    return exchange;
  }

  private work(request: ServedRequest, later: Later, next: Pod | undefined): Answer | 'hang' {
    if (next === undefined) return { status: 200, body: 'ok', afterMs: this.workMs };
    this.world.clock.after(this.workMs, () => {
      const headers = new Headers();
      for (const name of this.propagates) {
        const value = request.head.headers.get(name);
        if (value !== undefined) headers.append(name, value);
      }
      const exchange = this.call(headers, request.head.method);
      exchange.onEnd = () => later.answer(outcome(exchange));
      if (exchange.ended) exchange.onEnd();
    });
    return 'hang';
  }
}

function outcome(exchange: TestDownstream): Answer | 'reset' {
  if (exchange.response === undefined || exchange.resetWith !== undefined) return 'reset';
  return { status: exchange.status, body: exchange.body, headers: exchange.response.headers.clone() };
}

function abort(exchange: TestDownstream): void {
  if (exchange.ended) return;
  exchange.ended = true;
  exchange.receiver?.onReset({
    source: 'downstream',
    flag: 'DC',
    status: 0,
    retry: 'no',
    detail: 'the caller gave up',
  });
  exchange.receiver?.onDone();
}

/** Pods in a row, the first of which is where requests come in. */
export function chainOf(hops: readonly HopOptions[], clock = new ManualClock()): Pod[] {
  const pods: Pod[] = [];
  let next: Pod | undefined;
  for (const [index, hop] of [...hops.entries()].toReversed()) {
    next = new Pod(index + 1, clock, hop, next);
    pods.unshift(next);
  }
  return pods;
}
