import type { Mirror } from '@weft/policies/model/mirror';
import type { ForwardAction } from '@weft/policies/model/route';
import { overflow } from '../cluster/limits.ts';
import type { ClusterWaiter } from '../cluster/manager.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { ProxyError } from '../http/errors.ts';
import type { Downstream, RequestReceiver, ResponseHead } from '../http/exchange.ts';
import type { Headers } from '../http/headers.ts';
import type { CompiledRoute, RouteTable } from '../route/table.ts';
import type { Attempt } from './attempt.ts';
import { Attempts } from './attempts.ts';
import type { Chain } from './chain.ts';
import { StreamTimeouts } from './clocks.ts';
import { RequestContext } from './context.ts';
import { peerIsPending, pickCluster } from './endpoint.ts';
import { settlePath } from './entrance.ts';
import { exchangeEnded, noBackend, noMatch, upgradeRefused } from './errors.ts';
import type { Refusal } from './filter.ts';
import {
  attemptsInReply,
  countAttempt,
  isTunnelAccepted,
  nameEndpoint,
  refusesUpgrade,
  rewriteRequest,
} from './forward.ts';
import { isRetriedAbove } from './hop/header.ts';
import { tellHop } from './hop/tell.ts';
import { startMirrors } from './mirror/set.ts';
import { hideNoRetry } from './no-retry.ts';
import { Passage, type PassageOwner } from './passage.ts';
import { breakOff, explain, ownAnswer, reply, replyOfFilter } from './reply.ts';
import { hashRequest } from './request-hash.ts';
import { awaitConfiguration, type RoutesWaiter, resolveRoutes } from './resolve.ts';
import { passResponse } from './response.ts';
import { RequestBody } from './retry/body.ts';
import { defaultRetryPolicy } from './retry/policy.ts';
import type { TimeoutKind, Timeouts, TimeoutTarget } from './timeout/queue.ts';
import { asAsked } from './tunnels.ts';

const noBytes = Buffer.alloc(0);

/**
 * One request from its head to its record: filters, route, cluster, attempts, response. Here is the one place that
 * turns an error into a status and a flag (`fail`).
 */
export class RequestStream implements RequestReceiver, RoutesWaiter, ClusterWaiter, TimeoutTarget, PassageOwner {
  readonly chain: Chain;
  readonly context: RequestContext;
  readonly body: RequestBody;
  readonly timeouts: Timeouts;
  /** CONNECT or Upgrade: both directions live their own lives, and no deadline ends them. */
  tunnel: boolean;
  /** The response was handed over completely, or the exchange was given up: nothing may be called on it any more. */
  over = false;
  readonly clocks: StreamTimeouts;
  readonly attempts: Attempts;
  responded = false;
  private closeTunnel: (() => void) | undefined = undefined;
  private readonly passage: Passage;
  private route: CompiledRoute | undefined = undefined;
  private runtime: ClusterRuntime | undefined = undefined;
  private deadlineMs = 0;
  /** Response bytes that the client has not taken yet. */
  private unreturnedBytes = 0;

  constructor(chain: Chain, exchange: Downstream) {
    this.chain = chain;
    this.timeouts = chain.timeouts;
    this.context = new RequestContext(exchange, chain.deps.clock);
    this.body = new RequestBody(this.context);
    this.attempts = new Attempts(this);
    this.tunnel = exchange.head.protocol !== undefined;
    this.clocks = new StreamTimeouts(chain, this.context, this);
    this.passage = new Passage(chain.filters, this.context, this);
  }

  start(): void {
    const { context } = this;
    context.exchange.receiver = this;
    this.clocks.start();
    const misplaced = settlePath(context, this.chain.paths);
    if (misplaced !== undefined) {
      if ('location' in misplaced) this.answer(307, '', misplaced.location);
      else this.fail(misplaced);
      return;
    }
    this.passage.start();
  }

  // Filters.

  onHeld(): void {
    // A client that goes silent meanwhile is not waited for either.
    this.clocks.touch();
  }

  onRefused(verdict: Refusal): void {
    if (!('kind' in verdict)) {
      this.fail(verdict);
      return;
    }
    if (verdict.kind === 'reset') {
      this.responded = true;
      explain(this.context, verdict.error, '');
      this.stop(verdict.error);
      this.context.exchange.reset(verdict.error);
      return;
    }
    this.context.flag = verdict.flag;
    this.context.detail = verdict.detail;
    this.responded = true;
    this.stop(exchangeEnded);
    replyOfFilter(this.chain, this.context, verdict);
  }

  /** What it carries asks no rule; when rules change it is asked for itself. */
  private rememberTunnel(): void {
    const { context } = this;
    const end = (verdict: Refusal): void => {
      if (!this.over) this.onRefused(verdict);
    };
    this.closeTunnel = this.chain.deps.tunnels?.open({ context, asked: asAsked(context.head), end });
  }

  // Route.

  onAdmitted(): void {
    const late = this.clocks.beginCall();
    if (late !== undefined) {
      this.fail(late);
      return;
    }
    this.clocks.touch();
    if (this.tunnel) this.rememberTunnel();
    this.deadlineMs = this.chain.deps.clock.nowMs() + this.chain.deps.onDemandWaitMsMax;
    resolveRoutes(this.chain, this.context, this.deadlineMs, this);
  }

  onRoutes(table: RouteTable): void {
    if (this.over) return;
    const { context } = this;
    const found = table.find(context.head, this.chain.deps.prng);
    if (found === undefined) {
      this.fail(noMatch(context.authority, context.head.method, context.path));
      return;
    }
    context.route = found.route.name;
    // What a filter answers in the place of an upstream is changed as that is.
    if (found.route.action.kind === 'forward') context.matched = found;
    this.passage.route(found);
  }

  onRouteAdmitted(found: CompiledRoute): void {
    const { context } = this;
    const { route } = found;
    context.matched = found;
    if (this.tunnel && refusesUpgrade(context, route)) {
      this.fail(upgradeRefused);
      return;
    }
    if (route.action.kind === 'forward') {
      this.forward(found, route.action);
      return;
    }
    const { status, body, location } = ownAnswer(route.action, route.match.path, context);
    this.answer(status, body, location);
  }

  onClusterOnly(name: string): void {
    if (this.over) return;
    if (this.chain.deps.direction === 'outbound') this.attempts.retries.use(defaultRetryPolicy, false);
    this.context.clusterName = name;
    this.chain.deps.clusters.acquire(name, this.deadlineMs, this);
  }

  onUnresolved(error: ProxyError): void {
    if (!this.over) this.fail(error);
  }

  private forward(found: CompiledRoute, action: ForwardAction): void {
    const { context } = this;
    const { head } = context;
    const { route } = found;
    const cluster = pickCluster(this.chain, context, found);
    context.matchedCluster = cluster;
    if (cluster === undefined || cluster.name === '') {
      this.fail(noBackend(route.name));
      return;
    }
    this.route = found;
    context.clusterName = cluster.name;
    this.attempts.retries.use(action.retry, isRetriedAbove(context.hop));
    if (action.hedge !== undefined) this.attempts.useHedge(action.hedge);
    if (action.hashKeys !== undefined) hashRequest(action.hashKeys, context);
    rewriteRequest(this.chain.headerFormats, context, found, action, cluster);
    if (action.mirrors !== undefined) this.mirror(action, action.mirrors);
    this.clocks.follow(action, this.tunnel);
    this.chain.deps.clusters.acquire(cluster.name, this.deadlineMs, this, head.authority);
  }

  private mirror(action: ForwardAction, mirrors: readonly Mirror[]): void {
    if (this.tunnel) return;
    const { context, chain } = this;
    context.mirrors = startMirrors(chain.deps, context.exchange, context.route, action, mirrors);
    if (context.mirrors !== undefined) this.body.sendHeld(context.mirrors);
  }

  // Attempts.

  onCluster(runtime: ClusterRuntime): void {
    if (this.over) return;
    if (!runtime.limits.beginRequest()) {
      this.fail(overflow(`too many requests to cluster ${runtime.cluster.name}`));
      return;
    }
    this.runtime = runtime;
    this.context.runtime = runtime;
    if (!peerIsPending(this.chain, this.context, runtime)) {
      this.attempts.begin(runtime);
      return;
    }
    awaitConfiguration(this.chain, 'address', this.context.connection.destinationIp, this.deadlineMs, this, () => {
      this.attempts.begin(runtime);
    });
  }

  onClusterError(error: ProxyError): void {
    if (!this.over) this.fail(error);
  }

  /** What an upstream is told of the attempt. */
  describe(attempt: Attempt): void {
    const { route } = this;
    countAttempt(this.context.head, route, attempt.number);
    if (route !== undefined) nameEndpoint(this.context.head, route, attempt.host);
    if (this.chain.deps.calls !== undefined && this.chain.deps.direction === 'outbound') tellHop(this, attempt);
  }

  // Response.

  onInterim(head: ResponseHead): void {
    if (!this.over && !this.responded) this.context.exchange.interim(head);
  }

  onResponse(attempt: Attempt, head: ResponseHead, end: boolean): void {
    if (this.over) return;
    const { context } = this;
    context.upstreamMs = this.chain.deps.clock.nowMs() - context.startMs;
    if (!this.attempts.takes(attempt, head, end)) return;
    hideNoRetry(head.headers, attempt.host.security, context);
    if (this.tunnel && !isTunnelAccepted(context.head.method, head.status)) this.tunnel = false;
    this.attempts.retries.explain(context);
    context.mirrors?.onResponse(head, end);
    this.body.release();
    passResponse(this.chain, context, this.route, head, end);
    this.responded = true;
    if (end) this.finishUpstream();
    else this.clocks.touch();
    context.exchange.respond(head, end);
  }

  onResponseData(attempt: Attempt, chunk: Buffer, end: boolean): void {
    if (this.over) return;
    if (end) this.finishUpstream();
    else this.clocks.touch();
    this.context.call?.responses.push(chunk);
    this.context.mirrors?.onResponseData(chunk, end);
    this.context.responseBodyBytes += chunk.length;
    const writable = this.context.exchange.write(chunk, end);
    if (end) return;
    if (writable) attempt.upstream?.consumed(chunk.length);
    else this.unreturnedBytes += chunk.length;
  }

  onResponseTrailers(trailers: Headers): void {
    if (this.over) return;
    this.context.responseTrailers = trailers;
    this.context.mirrors?.onResponseTrailers(trailers);
    this.context.call?.onTrailers(trailers);
    this.finishUpstream();
    this.context.exchange.trailers(trailers);
  }

  onUpstreamWritable(): void {
    if (!this.over) this.body.onWritable();
  }

  // The client's side.

  onData(chunk: Buffer, end: boolean): void {
    if (this.over || (this.attempts.current === undefined && this.responded)) {
      // Nobody wants the rest of it.
      this.context.exchange.consumed(chunk.length);
      return;
    }
    this.clocks.touch();
    this.context.call?.requests.push(chunk);
    this.context.requestBodyBytes += chunk.length;
    if (end) this.chain.stats.requestEnded(this.context, this.chain.deps.clock);
    this.context.mirrors?.write(chunk, end);
    this.body.onData(chunk, end);
    if (end) this.attempts.requestEnded();
  }

  onTrailers(trailers: Headers): void {
    if (this.over) return;
    this.chain.trailers.apply(trailers);
    if (trailers.length === 0) {
      this.onData(noBytes, true);
      return;
    }
    this.context.mirrors?.trailers(trailers);
    this.body.onTrailers(trailers);
    this.attempts.requestEnded();
  }

  onReset(error: ProxyError): void {
    if (this.over) return;
    explain(this.context, error, '');
    if (!this.responded) this.context.status = error.status;
    this.stop(error);
  }

  onFailure(error: ProxyError): void {
    if (!this.over) this.fail(error);
  }

  onWritable(): void {
    const bytes = this.unreturnedBytes;
    this.unreturnedBytes = 0;
    if (bytes === 0 || this.over) return;
    this.clocks.touch();
    this.attempts.current?.upstream?.consumed(bytes);
  }

  onDone(): void {
    this.stop(exchangeEnded);
    this.closeTunnel?.();
    this.context.mirrors?.onEnd();
    for (const filter of this.chain.filters.onEnd) filter.onEnd(this.context);
    this.context.call?.finish(this.context);
    this.chain.stats.finish(this.context, this.chain.deps.clock.nowMs());
  }

  // Ends.

  onTimeout(kind: TimeoutKind): void {
    if (this.over) return;
    const error = this.clocks.expired(kind, this.body.ended, this.responded);
    if (error !== undefined) this.fail(error);
  }

  /** The one place where an error becomes what the client and the record see. */
  fail(error: ProxyError): void {
    const { context } = this;
    explain(context, error, this.responded ? '' : this.attempts.retries.refused);
    if (this.responded) {
      this.stop(error);
      breakOff(context, error);
    } else {
      this.responded = true;
      this.stop(error);
      const attempts = attemptsInReply(this.route, context.attempts);
      reply(this.chain, context, error.status, `${error.detail}\n`, undefined, attempts);
    }
  }

  private answer(status: number, text: string, location?: string): void {
    this.responded = true;
    this.stop(exchangeEnded);
    reply(this.chain, this.context, status, text, location);
  }

  /** The response is complete; a tunnel may still send. */
  private finishUpstream(): void {
    this.clocks.endRequest();
    this.attempts.finish();
    this.endRequest();
    if (!this.tunnel) this.clocks.endIdle();
  }

  private endRequest(): void {
    const { runtime } = this;
    this.runtime = undefined;
    runtime?.limits.endRequest();
  }

  /** Lets go of everything that is held upstream. */
  private stop(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.clocks.stop();
    this.body.detach();
    this.body.release();
    this.attempts.stop(error);
    this.endRequest();
  }
}
