import type { Cancel } from '@weft/policies/kit/clock';
import type { ForwardAction, HeaderMutation, RetryPolicy } from '@weft/policies/model/route';
import { noCluster } from '../cluster/destination.ts';
import type { Host } from '../cluster/host.ts';
import { overflow } from '../cluster/limits.ts';
import type { ClusterWaiter } from '../cluster/manager.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import { noHealthyUpstream } from '../cluster/tcp.ts';
import type { ProxyError } from '../http/errors.ts';
import type { Downstream, RequestReceiver, ResponseHead } from '../http/exchange.ts';
import type { Headers } from '../http/headers.ts';
import { applyMutation } from '../route/mutation.ts';
import { canonicalTarget } from '../route/path.ts';
import { redirectLocation, rewriteTarget } from '../route/rewrite.ts';
import type { CompiledRoute, RouteTable } from '../route/table.ts';
import { Attempt } from './attempt.ts';
import type { Chain } from './chain.ts';
import { RequestContext } from './context.ts';
import { reply } from './reply.ts';
import { noRoute, type RoutesWaiter, resolveRoutes } from './resolve.ts';
import { backoffMs } from './retry/backoff.ts';
import { RequestBody } from './retry/body.ts';
import { defaultRetryPolicy, wantsRetryOfError, wantsRetryOfStatus } from './retry/policy.ts';
import { requestIdle, requestTimedOut, streamIdle } from './timeout/errors.ts';
import { TimeoutEntry, type TimeoutKind, type Timeouts, type TimeoutTarget } from './timeout/queue.ts';

/** A connection that goes stale while idle is replaced once without asking a policy. */
const FREE_RETRIES_MAX = 1;

/**
 * One request from its head to its record: filters, route, cluster, attempts, response. Here is the one place that
 * turns an error into a status and a flag (`fail`).
 */
export class RequestStream implements RequestReceiver, RoutesWaiter, ClusterWaiter, TimeoutTarget {
  readonly context: RequestContext;
  readonly body: RequestBody;
  readonly timeouts: Timeouts;
  /** CONNECT or Upgrade: both directions live their own lives, and no deadline ends them. */
  readonly tunnel: boolean;
  /** The response was handed over completely, or the exchange was given up: nothing may be called on it any more. */
  over = false;
  private readonly chain: Chain;
  private readonly requestTimeout: TimeoutEntry;
  private readonly idleTimeout: TimeoutEntry;
  private idleTimeoutMs: number;
  private action: ForwardAction | undefined = undefined;
  private routeResponseHeaders: HeaderMutation | undefined = undefined;
  private clusterResponseHeaders: HeaderMutation | undefined = undefined;
  private retryPolicy: RetryPolicy | undefined = undefined;
  private runtime: ClusterRuntime | undefined = undefined;
  private attempt: Attempt | undefined = undefined;
  private retries = 0;
  private freeRetries = 0;
  /** A place among the cluster's retries is taken. */
  private retrying = false;
  private cancelBackoff: Cancel | undefined = undefined;
  private responded = false;
  private deadlineMs = 0;
  /** Response bytes that the client has not taken yet. */
  private unreturnedBytes = 0;

  constructor(chain: Chain, exchange: Downstream) {
    const { clock, hcm } = chain.deps;
    this.chain = chain;
    this.timeouts = chain.timeouts;
    this.context = new RequestContext(exchange, clock.nowMs(), clock.unixMs());
    this.body = new RequestBody(exchange);
    this.tunnel = exchange.head.protocol !== undefined;
    this.requestTimeout = new TimeoutEntry(this, 'request');
    this.idleTimeout = new TimeoutEntry(this, 'idle');
    this.idleTimeoutMs = hcm.limits.streamIdleTimeoutMs;
  }

  start(): void {
    const { context } = this;
    const { deps } = this.chain;
    context.exchange.receiver = this;
    context.head.path = canonicalTarget(context.head.path);
    context.path = context.head.path;
    for (const filter of this.chain.filters) {
      const error = filter.onRequest(context);
      if (error !== undefined) {
        this.fail(error);
        return;
      }
    }
    this.touch();
    this.deadlineMs = context.startMs + deps.onDemandWaitMsMax;
    resolveRoutes(this.chain, context, this.deadlineMs, this);
  }

  // Route.

  onRoutes(table: RouteTable): void {
    if (this.over) return;
    const { context } = this;
    const found = table.find(context.head);
    if (found === undefined) {
      this.fail(noRoute(`no route of ${context.authority} matches ${context.head.method} ${context.path}`));
      return;
    }
    const { route } = found;
    context.route = route.name;
    switch (route.action.kind) {
      case 'direct':
        this.answer(route.action.status, route.action.body, undefined);
        return;
      case 'redirect': {
        const port = context.connection.destinationPort;
        const location = redirectLocation(route.action, route.match.path, context.head, port);
        this.answer(route.action.status, '', location);
        return;
      }
      case 'forward':
        this.forward(found, route.action);
    }
  }

  onClusterOnly(name: string): void {
    if (this.over) return;
    if (this.chain.deps.direction === 'outbound') this.retryPolicy = defaultRetryPolicy;
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
    const cluster = found.clusters?.pick(this.chain.deps.prng);
    if (cluster === undefined || cluster.name === '') {
      // Gateway API, HTTPRouteRule.backendRefs: a backend that cannot be resolved answers 500.
      this.fail({ ...noCluster(`route ${route.name} has no valid backend`), status: 500 });
      return;
    }
    this.action = action;
    this.retryPolicy = action.retry;
    this.routeResponseHeaders = route.responseHeaders;
    this.clusterResponseHeaders = cluster.responseHeaders;
    applyMutation(head.headers, route.requestHeaders);
    applyMutation(head.headers, cluster.requestHeaders);
    if (action.pathRewrite !== undefined) head.path = rewriteTarget(head.path, action.pathRewrite, route.match.path);
    if (action.hostRewrite !== undefined) head.authority = action.hostRewrite;
    if (action.timeoutMs > 0 && !this.tunnel) this.timeouts.arm(this.requestTimeout, action.timeoutMs);
    if (action.idleTimeoutMs > 0) {
      this.idleTimeoutMs = action.idleTimeoutMs;
      this.touch();
    }
    context.clusterName = cluster.name;
    this.chain.deps.clusters.acquire(cluster.name, this.deadlineMs, this);
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
    if (runtime.isOriginalDst && runtime.cluster.meshTls) this.awaitPeer(runtime);
    else this.startAttempt(runtime, false);
  }

  onClusterError(error: ProxyError): void {
    if (!this.over) this.fail(error);
  }

  /** Whether the peer at the original destination takes mesh TLS, and as whom, has to be known first. */
  private awaitPeer(runtime: ClusterRuntime): void {
    const { source, clock } = this.chain.deps;
    const ip = this.context.connection.destinationIp;
    if (source.lookup('address', ip).state !== 'pending') {
      this.startAttempt(runtime, false);
      return;
    }
    const leftMs = this.deadlineMs - clock.nowMs();
    const late = noCluster(`what ${ip} stands for was not known in time`);
    const waits =
      leftMs > 0 &&
      source.wait('address', ip, leftMs, (lookup) => {
        if (this.over) return;
        if (lookup.state === 'pending') this.fail(late);
        else this.startAttempt(runtime, false);
      });
    if (!waits) this.fail(late);
  }

  private startAttempt(runtime: ClusterRuntime, fresh: boolean): void {
    const { breaker } = runtime;
    const ticket = breaker?.begin();
    if (breaker !== undefined && ticket === undefined) {
      this.fail(overflow(`circuit breaker of cluster ${runtime.cluster.name} is open`));
      return;
    }
    const host = this.pick(runtime, this.retries > 0 ? this.context.host : undefined);
    if (host === undefined) {
      if (breaker !== undefined && ticket !== undefined) breaker.settle(ticket, 'abandoned');
      this.fail(noHealthyUpstream(runtime.cluster.name));
      return;
    }
    const attempt = new Attempt(this, runtime, host, breaker, ticket);
    this.attempt = attempt;
    this.context.host = host;
    this.context.attempts++;
    attempt.start(fresh, this.tunnel ? 0 : (this.retryPolicy?.perTryTimeoutMs ?? 0));
  }

  private pick(runtime: ClusterRuntime, exclude: Host | undefined): Host | undefined {
    if (!runtime.isOriginalDst) return runtime.pick(exclude);
    const { destinationIp, destinationPort } = this.context.connection;
    if (!runtime.cluster.meshTls) return runtime.hostFor(destinationIp, destinationPort, undefined);
    const lookup = this.chain.deps.source.lookup('address', destinationIp);
    return runtime.hostFor(destinationIp, destinationPort, lookup.state === 'found' ? lookup.value : undefined);
  }

  onEndpointGone(): void {
    this.attempt = undefined;
    if (this.over || this.runtime === undefined) return;
    this.context.attempts--;
    this.startAttempt(this.runtime, false);
  }

  /** The attempt ended without a complete response. */
  onAttemptFailed(attempt: Attempt, error: ProxyError): void {
    if (attempt !== this.attempt || this.over) return;
    this.attempt = undefined;
    this.body.detach();
    if (this.responded) {
      this.fail(error);
      return;
    }
    const { runtime } = this;
    if (
      runtime !== undefined &&
      error.retry === 'reusedOnly' &&
      attempt.reused &&
      this.freeRetries < FREE_RETRIES_MAX &&
      this.body.replayable
    ) {
      this.freeRetries++;
      this.chain.deps.recorder.count('retry.stale-connection');
      this.startAttempt(runtime, true);
      return;
    }
    const policy = this.retryPolicy;
    if (policy !== undefined && wantsRetryOfError(policy, this.context.head.method, error) && this.retry(policy))
      return;
    this.endRetry();
    this.fail(error);
  }

  /** True: another attempt will be made. False leaves the reason in the context. */
  private retry(policy: RetryPolicy): boolean {
    const { runtime, context } = this;
    const { recorder, clock, prng } = this.chain.deps;
    this.endRetry();
    if (runtime === undefined || this.tunnel) return false;
    if (!this.body.replayable) {
      recorder.count('retry.body-not-held');
      return false;
    }
    if (this.retries >= policy.retriesMax) {
      if (policy.retriesMax > 0) this.exhausted('retry.exhausted', 'retries exhausted');
      return false;
    }
    if (runtime.breaker?.admits === false) return false;
    if (!runtime.limits.beginRetry()) {
      this.exhausted('retry.budget-exceeded', 'retry budget exhausted');
      return false;
    }
    this.retrying = true;
    recorder.count('retry.attempt');
    const delayMs = backoffMs(this.retries, policy.backoffBaseMs, policy.backoffMaxMs, prng);
    this.retries++;
    context.flag = '';
    this.cancelBackoff = clock.after(delayMs, () => {
      this.cancelBackoff = undefined;
      if (!this.over) this.startAttempt(runtime, false);
    });
    return true;
  }

  private exhausted(event: string, detail: string): void {
    this.chain.deps.recorder.count(event);
    this.context.flag = 'URX';
    this.context.detail = detail;
  }

  private endRetry(): void {
    if (!this.retrying) return;
    this.retrying = false;
    this.runtime?.limits.endRetry();
  }

  // Response.

  onInterim(head: ResponseHead): void {
    if (!this.over && !this.responded) this.context.exchange.interim(head);
  }

  onResponse(attempt: Attempt, head: ResponseHead, end: boolean): void {
    if (this.over) return;
    const { context } = this;
    context.upstreamMs = this.chain.deps.clock.nowMs() - context.startMs;
    const policy = this.retryPolicy;
    if (policy !== undefined && wantsRetryOfStatus(policy, context.head.method, head.status) && this.retry(policy)) {
      this.attempt = undefined;
      this.body.detach();
      if (!end) attempt.discard(head.contentLength);
      return;
    }
    this.endRetry();
    this.body.release();
    if (this.routeResponseHeaders !== undefined) applyMutation(head.headers, this.routeResponseHeaders);
    if (this.clusterResponseHeaders !== undefined) applyMutation(head.headers, this.clusterResponseHeaders);
    for (const filter of this.chain.filters) filter.onResponse?.(context, head);
    context.status = head.status;
    if (context.grpc) this.readGrpcStatus(head.headers);
    this.responded = true;
    if (end) this.finishUpstream();
    else this.touch();
    context.exchange.respond(head, end);
  }

  onResponseData(attempt: Attempt, chunk: Buffer, end: boolean): void {
    if (this.over) return;
    if (end) this.finishUpstream();
    else this.touch();
    const writable = this.context.exchange.write(chunk, end);
    if (end) return;
    if (writable) attempt.upstream?.consumed(chunk.length);
    else this.unreturnedBytes += chunk.length;
  }

  onResponseTrailers(trailers: Headers): void {
    if (this.over) return;
    if (this.context.grpc) this.readGrpcStatus(trailers);
    this.finishUpstream();
    this.context.exchange.trailers(trailers);
  }

  onUpstreamWritable(): void {
    if (!this.over) this.body.onWritable();
  }

  private readGrpcStatus(headers: Headers): void {
    const text = headers.get('grpc-status');
    if (text === undefined) return;
    const code = Number(text);
    this.context.grpcStatus = Number.isInteger(code) && code >= 0 ? code : 2;
  }

  // The client's side.

  onData(chunk: Buffer, end: boolean): void {
    if (this.over || (this.attempt === undefined && this.responded)) {
      // Nobody wants the rest of it.
      this.context.exchange.consumed(chunk.length);
      return;
    }
    this.touch();
    this.body.onData(chunk, end);
    if (end) this.attempt?.requestEnded();
  }

  onTrailers(trailers: Headers): void {
    if (this.over) return;
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
    this.touch();
    this.attempt?.upstream?.consumed(bytes);
  }

  onDone(): void {
    this.stop(requestTimedOut);
    this.chain.stats.finish(this.context, this.chain.deps.clock.nowMs());
  }

  // Ends.

  onTimeout(kind: TimeoutKind): void {
    if (this.over) return;
    if (kind === 'request') {
      this.chain.deps.recorder.count('timeout.request');
      this.fail(requestTimedOut);
    } else {
      this.chain.deps.recorder.count('timeout.idle');
      this.fail(this.body.ended || this.responded ? streamIdle : requestIdle);
    }
  }

  private touch(): void {
    if (this.idleTimeoutMs > 0) this.timeouts.arm(this.idleTimeout, this.idleTimeoutMs);
  }

  /** The one place where an error becomes what the client and the record see. */
  private fail(error: ProxyError): void {
    const { context } = this;
    if (context.flag === 'URX') {
      context.detail = `${context.detail}; last: ${error.detail}`;
    } else {
      context.flag = error.flag;
      context.detail = error.detail;
    }
    if (this.responded) {
      this.stop(error);
      context.exchange.reset(error);
    } else {
      this.answer(error.status, `${error.detail}\n`, undefined, error);
    }
  }

  private answer(
    status: number,
    text: string,
    location: string | undefined,
    error: ProxyError = requestTimedOut,
  ): void {
    this.responded = true;
    this.stop(error);
    reply(this.context, status, text, location);
  }

  /** The response is complete; a tunnel may still send. */
  private finishUpstream(): void {
    this.requestTimeout.disarm();
    this.endRetry();
    this.endRequest();
    if (!this.tunnel) this.idleTimeout.disarm();
  }

  private endRequest(): void {
    const { runtime } = this;
    if (runtime === undefined) return;
    this.runtime = undefined;
    runtime.limits.endRequest();
  }

  /** Lets go of everything that is held upstream. */
  private stop(error: ProxyError): void {
    if (this.over) return;
    this.over = true;
    this.requestTimeout.disarm();
    this.idleTimeout.disarm();
    this.cancelBackoff?.();
    this.endRetry();
    this.endRequest();
    this.body.detach();
    this.body.release();
    const { attempt } = this;
    this.attempt = undefined;
    attempt?.abandon(error);
  }
}
