import type { Cancel } from '@weft/policies/kit/clock';
import type { ForwardAction, HeaderMutation, WeightedCluster } from '@weft/policies/model/route';
import { overflow } from '../cluster/limits.ts';
import type { ClusterWaiter } from '../cluster/manager.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import { noHealthyUpstream } from '../cluster/tcp.ts';
import type { ProxyError } from '../http/errors.ts';
import type { Downstream, RequestReceiver, ResponseHead } from '../http/exchange.ts';
import type { Headers } from '../http/headers.ts';
import { redirectLocation } from '../route/rewrite.ts';
import type { CompiledRoute, RouteTable } from '../route/table.ts';
import { Attempt } from './attempt.ts';
import type { Chain } from './chain.ts';
import { StreamTimeouts } from './clocks.ts';
import { RequestContext } from './context.ts';
import { overdue } from './deadline.ts';
import { peerIsPending, pickCluster, pickHost } from './endpoint.ts';
import { settlePath } from './entrance.ts';
import { exchangeEnded, noBackend, noRoute } from './errors.ts';
import type { Refusal } from './filter.ts';
import {
  attemptsInReply,
  attemptsInResponse,
  countAttempt,
  isTunnelAccepted,
  rewriteRequest,
  rewriteResponse,
} from './forward.ts';
import { startMirrors } from './mirror/set.ts';
import { Passage, type PassageOwner } from './passage.ts';
import { breakOff, explain, reply } from './reply.ts';
import { awaitConfiguration, type RoutesWaiter, resolveRoutes } from './resolve.ts';
import { RequestBody } from './retry/body.ts';
import { defaultRetryPolicy } from './retry/policy.ts';
import { Retries } from './retry/retries.ts';
import { durationReached, requestIdle, streamIdle } from './timeout/errors.ts';
import type { TimeoutKind, Timeouts, TimeoutTarget } from './timeout/queue.ts';

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
  private readonly clocks: StreamTimeouts;
  private readonly passage: Passage;
  private route: CompiledRoute | undefined = undefined;
  private routeCluster: WeightedCluster | undefined = undefined;
  private readonly retries: Retries;
  private runtime: ClusterRuntime | undefined = undefined;
  private attempt: Attempt | undefined = undefined;
  private cancelBackoff: Cancel | undefined = undefined;
  private responded = false;
  private deadlineMs = 0;
  /** Response bytes that the client has not taken yet. */
  private unreturnedBytes = 0;

  constructor(chain: Chain, exchange: Downstream) {
    const { clock } = chain.deps;
    this.chain = chain;
    this.timeouts = chain.timeouts;
    this.context = new RequestContext(exchange, clock.nowMs(), clock.unixMs());
    this.body = new RequestBody(exchange);
    this.retries = new Retries(exchange.head.method, this.context.grpc, this.body, chain.deps);
    this.tunnel = exchange.head.protocol !== undefined;
    this.clocks = new StreamTimeouts(chain, this.context.call, this);
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
      this.context.flag = verdict.error.flag;
      this.context.detail = verdict.error.detail;
      this.stop(verdict.error);
      this.context.exchange.reset(verdict.error);
      return;
    }
    this.context.flag = verdict.flag;
    this.context.detail = verdict.detail;
    this.answer(verdict.status, verdict.body, undefined, verdict.headers);
  }

  // Route.

  onAdmitted(): void {
    const late = this.clocks.beginCall();
    if (late !== undefined) {
      this.fail(late);
      return;
    }
    this.clocks.touch();
    this.deadlineMs = this.chain.deps.clock.nowMs() + this.chain.deps.onDemandWaitMsMax;
    resolveRoutes(this.chain, this.context, this.deadlineMs, this);
  }

  onRoutes(table: RouteTable): void {
    if (this.over) return;
    const { context } = this;
    const found = table.find(context.head, this.chain.deps.prng);
    if (found === undefined) {
      this.fail(noRoute(`no route of ${context.authority} matches ${context.head.method} ${context.path}`));
      return;
    }
    context.route = found.route.name;
    this.passage.route(found);
  }

  onRouteAdmitted(found: CompiledRoute): void {
    const { context } = this;
    const { route } = found;
    switch (route.action.kind) {
      case 'direct':
        this.answer(route.action.status, route.action.body, undefined, route.responseHeaders);
        return;
      case 'redirect': {
        const port = context.connection.destinationPort;
        const location = redirectLocation(route.action, route.match.path, context.head, port);
        this.answer(route.action.status, '', location, route.responseHeaders);
        return;
      }
      case 'forward':
        this.forward(found, route.action);
    }
  }

  onClusterOnly(name: string): void {
    if (this.over) return;
    if (this.chain.deps.direction === 'outbound') this.retries.policy = defaultRetryPolicy;
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
    if (cluster === undefined || cluster.name === '') {
      this.fail(noBackend(route.name));
      return;
    }
    this.route = found;
    this.routeCluster = cluster;
    context.matched = route;
    context.matchedCluster = cluster;
    this.retries.policy = action.retry;
    rewriteRequest(head, found, action, cluster);
    if (action.mirrors !== undefined || cluster.mirrors !== undefined) this.mirror(action, cluster);
    if (action.timeoutMs > 0 && !this.tunnel) this.clocks.limitRequest(action.timeoutMs);
    this.clocks.capDeadline(action.grpcTimeoutMsMax ?? 0);
    if (action.streamDurationMsMax !== undefined) this.clocks.limitDuration(action.streamDurationMsMax);
    if (action.idleTimeoutMs > 0) this.clocks.limitIdle(action.idleTimeoutMs);
    context.clusterName = cluster.name;
    this.chain.deps.clusters.acquire(cluster.name, this.deadlineMs, this);
  }

  private mirror(action: ForwardAction, cluster: WeightedCluster): void {
    if (this.tunnel) return;
    const { context, chain } = this;
    context.mirrors = startMirrors(chain.deps, context.exchange, context.route, action, cluster);
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
      this.startAttempt(runtime, false);
      return;
    }
    awaitConfiguration(this.chain, 'address', this.context.connection.destinationIp, this.deadlineMs, this, () => {
      this.startAttempt(runtime, false);
    });
  }

  onClusterError(error: ProxyError): void {
    if (!this.over) this.fail(error);
  }

  private startAttempt(runtime: ClusterRuntime, fresh: boolean): void {
    const { breaker } = runtime;
    const ticket = breaker?.begin();
    if (breaker !== undefined && ticket === undefined) {
      this.fail(overflow(`circuit breaker of cluster ${runtime.cluster.name} is open`));
      return;
    }
    const host = pickHost(this.chain, this.context, runtime, this.retries.made > 0 ? this.context.host : undefined);
    if (host === undefined) {
      if (breaker !== undefined && ticket !== undefined) breaker.settle(ticket, 'abandoned');
      this.fail(noHealthyUpstream(runtime.cluster.name));
      return;
    }
    const attempt = new Attempt(this, runtime, host, breaker, ticket);
    this.attempt = attempt;
    this.context.host = host;
    this.context.attempts++;
    countAttempt(this.context.head, this.route, this.context.attempts);
    attempt.start(fresh, this.tunnel ? 0 : (this.retries.policy?.perTryTimeoutMs ?? 0));
  }

  onEndpointGone(): void {
    this.attempt = undefined;
    if (this.over || this.runtime === undefined) return;
    this.context.attempts--;
    this.startAttempt(this.runtime, false);
  }

  /** The attempt ended without a complete response. */
  onAttemptFailed(attempt: Attempt, cause: ProxyError): void {
    if (attempt !== this.attempt || this.over) return;
    const error = this.context.call === undefined ? cause : overdue(this.chain, this.context.call, cause);
    this.attempt = undefined;
    this.body.detach();
    if (this.responded) {
      this.fail(error);
      return;
    }
    const { runtime } = this;
    if (runtime !== undefined && !this.tunnel) {
      if (this.retries.isFree(error, attempt.reused)) {
        this.startAttempt(runtime, true);
        return;
      }
      const delayMs = this.retries.afterError(error, runtime);
      if (delayMs >= 0) {
        this.retryAfter(delayMs, runtime);
        return;
      }
    }
    this.fail(error);
  }

  private retryAfter(delayMs: number, runtime: ClusterRuntime): void {
    this.cancelBackoff = this.chain.deps.clock.after(delayMs, () => {
      this.cancelBackoff = undefined;
      if (!this.over) this.startAttempt(runtime, false);
    });
  }

  // Response.

  onInterim(head: ResponseHead): void {
    if (!this.over && !this.responded) this.context.exchange.interim(head);
  }

  onResponse(attempt: Attempt, head: ResponseHead, end: boolean): void {
    if (this.over) return;
    const { context } = this;
    context.upstreamMs = this.chain.deps.clock.nowMs() - context.startMs;
    const { runtime } = this;
    const delayMs = runtime === undefined || this.tunnel ? -1 : this.retries.afterResponse(head, runtime);
    if (runtime !== undefined && delayMs >= 0) {
      this.attempt = undefined;
      this.body.detach();
      if (!end) attempt.discard(head.contentLength);
      this.retryAfter(delayMs, runtime);
      return;
    }
    if (this.tunnel && !isTunnelAccepted(context.head.method, head.status)) this.tunnel = false;
    if (this.retries.refused !== '') {
      context.flag = 'URX';
      context.detail = this.retries.refused;
    }
    context.mirrors?.onResponse(head, end);
    this.body.release();
    if (this.route !== undefined && this.routeCluster !== undefined) {
      rewriteResponse(head, this.route, this.routeCluster);
      attemptsInResponse(head, this.route, context.attempts);
    }
    for (const filter of this.chain.filters.onResponse) filter.onResponse(context, head);
    context.status = head.status;
    context.responseHeaders = head.headers;
    context.call?.onHead(head, end);
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
    if (this.over || (this.attempt === undefined && this.responded)) {
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
    if (end) this.attempt?.requestEnded();
  }

  onTrailers(trailers: Headers): void {
    if (this.over) return;
    this.context.mirrors?.trailers(trailers);
    this.body.onTrailers(trailers);
    this.attempt?.requestEnded();
  }

  onReset(error: ProxyError): void {
    if (this.over) return;
    this.context.flag = error.flag;
    this.context.detail = error.detail;
    this.stop(error);
  }

  onWritable(): void {
    const bytes = this.unreturnedBytes;
    this.unreturnedBytes = 0;
    if (bytes === 0 || this.over) return;
    this.clocks.touch();
    this.attempt?.upstream?.consumed(bytes);
  }

  onDone(): void {
    this.stop(exchangeEnded);
    this.context.mirrors?.onEnd();
    for (const filter of this.chain.filters.onEnd) filter.onEnd(this.context);
    this.context.call?.finish(this.context);
    this.chain.stats.finish(this.context, this.chain.deps.clock.nowMs());
  }

  // Ends.

  onTimeout(kind: TimeoutKind): void {
    if (this.over) return;
    if (kind === 'duration') {
      this.chain.deps.recorder.count('timeout.duration');
      this.fail(durationReached(this.body.ended));
    } else if (kind === 'request') {
      const error = this.clocks.requestExpired();
      if (error === undefined) return;
      this.chain.deps.recorder.count('timeout.request');
      this.fail(error);
    } else {
      this.chain.deps.recorder.count('timeout.idle');
      this.fail(this.body.ended || this.responded ? streamIdle : requestIdle);
    }
  }

  /** The one place where an error becomes what the client and the record see. */
  private fail(error: ProxyError): void {
    const { context } = this;
    explain(context, error, this.responded ? '' : this.retries.refused);
    if (this.responded) {
      this.stop(error);
      breakOff(context, error);
    } else {
      this.responded = true;
      this.stop(error);
      reply(context, error.status, `${error.detail}\n`, undefined, attemptsInReply(this.route, context.attempts));
    }
  }

  private answer(status: number, text: string, location?: string, mutation?: HeaderMutation): void {
    this.responded = true;
    this.stop(exchangeEnded);
    reply(this.context, status, text, location, mutation);
  }

  /** The response is complete; a tunnel may still send. */
  private finishUpstream(): void {
    this.clocks.endRequest();
    this.endRequest();
    if (this.tunnel) return;
    this.clocks.endIdle();
    this.attempt = undefined;
    this.body.detach();
  }

  private endRequest(): void {
    this.retries.release();
    const { runtime } = this;
    this.runtime = undefined;
    runtime?.limits.endRequest();
  }

  /** Lets go of everything that is held upstream. */
  private stop(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.clocks.stop();
    this.cancelBackoff?.();
    this.endRequest();
    this.body.detach();
    this.body.release();
    const { attempt } = this;
    this.attempt = undefined;
    attempt?.abandon(error);
  }
}
