import type { Cancel } from '@weft/policies/kit/clock';
import type { HedgePolicy } from '@weft/policies/model/retry';
import { overflow } from '../cluster/limits.ts';
import type { ClusterRuntime } from '../cluster/runtime.ts';
import type { ProxyError } from '../http/errors.ts';
import type { ResponseHead } from '../http/exchange.ts';
import { Attempt } from './attempt.ts';
import { overdue } from './deadline.ts';
import { pickHost } from './endpoint.ts';
import { hedgeDelayMs, lostRace, observeAnswer, observeLoser } from './retry/hedge.ts';
import { Retries } from './retry/retries.ts';
import type { RequestStream } from './stream.ts';
import { TimeoutEntry, type TimeoutTarget } from './timeout/queue.ts';

/** The attempts at one request: one after the other, or beside each other where it is hedged. */
export class Attempts implements TimeoutTarget {
  readonly retries: Retries;
  /** The latest that is under way, or whose answer goes to the client. */
  current: Attempt | undefined = undefined;
  /** Somebody wants to know how long each takes. */
  areTimed = false;
  private readonly stream: RequestStream;
  private runtime: ClusterRuntime | undefined = undefined;
  private cancelBackoff: Cancel | undefined = undefined;
  private hedge: HedgePolicy | undefined = undefined;
  private hedgeTimer: TimeoutEntry | undefined = undefined;
  /** Made for being slow since the first, or the last retry. */
  private hedges = 0;
  /** Under way beside the current one; undefined: never any. */
  private others: Attempt[] | undefined = undefined;

  constructor(stream: RequestStream) {
    const { context, body, chain } = stream;
    this.stream = stream;
    this.retries = new Retries(context.exchange.head, context.grpc, body, chain.deps);
  }

  useHedge(hedge: HedgePolicy): void {
    this.hedge = hedge;
    this.areTimed = hedge.delayed?.delay.kind === 'percentile';
    if (hedge.delayed !== undefined) this.hedgeTimer = new TimeoutEntry(this, 'hedge');
  }

  begin(runtime: ClusterRuntime): void {
    this.runtime = runtime;
    this.start(runtime, false, false);
  }

  private start(runtime: ClusterRuntime, fresh: boolean, hedged: boolean): void {
    const { chain, context } = this.stream;
    const { breaker } = runtime;
    const ticket = breaker?.begin();
    if (breaker !== undefined && ticket === undefined) {
      this.notStarted(runtime, hedged, overflow(`circuit breaker of cluster ${runtime.cluster.name} is open`));
      return;
    }
    const elsewhere = hedged || this.retries.made > 0;
    const host = pickHost(chain, context, runtime, elsewhere ? context.host : undefined);
    if (host === undefined) {
      if (breaker !== undefined && ticket !== undefined) breaker.settle(ticket, 'abandoned');
      this.notStarted(runtime, hedged, runtime.noneUsable);
      return;
    }
    context.host = host;
    context.attempts++;
    chain.stats.attempted(context, host);
    const attempt = new Attempt(this.stream, runtime, host, breaker, ticket, hedged);
    if (this.current !== undefined) {
      this.others ??= [];
      this.others.push(this.current);
    }
    this.current = attempt;
    this.hedges = hedged ? this.hedges + 1 : 0;
    this.armHedge(runtime);
    attempt.start(fresh, this.stream.tunnel ? 0 : (this.retries.policy?.perTryTimeoutMs ?? 0));
  }

  /** With another attempt under way nothing is lost. */
  private notStarted(runtime: ClusterRuntime, hedged: boolean, error: ProxyError): void {
    if (hedged) runtime.limits.endRetry();
    if (this.current === undefined) this.stream.fail(error);
  }

  onEndpointGone(attempt: Attempt): void {
    if (!this.drop(attempt)) return;
    const { runtime } = this;
    if (this.stream.over || runtime === undefined) return;
    this.stream.context.attempts--;
    this.stream.context.hostsAttempted?.pop();
    if (this.current === undefined) this.start(runtime, false, false);
  }

  /** The attempt ended without a complete response. */
  onFailed(attempt: Attempt, cause: ProxyError): void {
    const { stream, runtime } = this;
    if (stream.over || !this.drop(attempt)) return;
    const { call } = stream.context;
    const error = call === undefined ? cause : overdue(stream.chain, call, cause);
    // Another one may do better.
    if (!stream.responded && this.pending) return;
    stream.body.detach();
    if (!stream.responded && runtime !== undefined && !stream.tunnel) {
      if (this.retries.isFree(error, attempt.reused, runtime)) {
        this.start(runtime, true, false);
        return;
      }
      const delayMs = this.retries.afterError(error, runtime);
      if (delayMs >= 0) {
        this.startAfter(delayMs, runtime);
        return;
      }
    }
    stream.fail(error);
  }

  /** Whether that response is the one for the client; otherwise it is done with. */
  takes(attempt: Attempt, head: ResponseHead, end: boolean): boolean {
    const { stream, runtime } = this;
    if (runtime === undefined || stream.tunnel) return true;
    if (this.others !== undefined && this.hasRivals(attempt) && this.retries.isBad(head)) {
      this.drop(attempt);
      if (!end) attempt.discard(head.contentLength);
      return false;
    }
    const delayMs = this.retries.afterResponse(head, runtime, stream.clocks);
    if (delayMs >= 0) {
      this.drop(attempt);
      stream.body.detach();
      if (!end) attempt.discard(head.contentLength);
      this.startAfter(delayMs, runtime);
      return false;
    }
    if (this.hedge !== undefined) this.win(attempt, head, runtime);
    return true;
  }

  get keepsSlowTries(): boolean {
    return this.hedge?.onPerTryTimeout === true;
  }

  /** An attempt has exceeded its own time. True: it goes on all the same. */
  keepsSlow(): boolean {
    const { stream, runtime } = this;
    if (!this.keepsSlowTries || runtime === undefined || stream.tunnel || stream.responded) return false;
    if (this.cancelBackoff !== undefined) return true;
    const delayMs = this.retries.besideSlow(runtime);
    if (delayMs >= 0) this.startAfter(delayMs, runtime);
    return true;
  }

  /** All of the request has come in. */
  requestEnded(): void {
    this.current?.requestEnded();
    if (this.runtime !== undefined && this.current !== undefined) this.armHedge(this.runtime);
  }

  /** The answer has come in. */
  finish(): void {
    this.retries.release();
    this.runtime = undefined;
    this.hedgeTimer?.disarm();
    if (this.stream.tunnel) return;
    this.current = undefined;
    this.stream.body.detach();
  }

  stop(error: ProxyError): void {
    this.cancelBackoff?.();
    this.retries.release();
    this.runtime = undefined;
    this.hedgeTimer?.disarm();
    const { current, others } = this;
    this.current = undefined;
    this.others = undefined;
    current?.abandon(error);
    if (others !== undefined) for (const attempt of others) attempt.abandon(error);
  }

  /** The latest attempt has been silent for long enough. */
  onTimeout(): void {
    const { runtime, stream, retries } = this;
    const { recorder } = stream.chain.deps;
    if (stream.over || stream.responded || runtime === undefined) return;
    if (this.current === undefined || this.cancelBackoff !== undefined) return;
    if (1 + this.hedges >= (this.hedge?.delayed?.attemptsMax ?? 0)) return;
    if (!stream.body.replayable || !retries.mayHedge || runtime.breaker?.admits === false) return;
    if (!runtime.limits.beginRetry()) {
      recorder.count('hedge.budget-exceeded');
      return;
    }
    recorder.count('hedge.sent');
    this.start(runtime, false, true);
  }

  private armHedge(runtime: ClusterRuntime): void {
    const { hedgeTimer, hedge, stream } = this;
    if (hedgeTimer === undefined || hedge?.delayed === undefined || !stream.body.ended || stream.tunnel) return;
    const delayMs = hedgeDelayMs(hedge.delayed, runtime);
    if (delayMs !== undefined) stream.timeouts.arm(hedgeTimer, delayMs);
  }

  private startAfter(delayMs: number, runtime: ClusterRuntime): void {
    this.cancelBackoff = this.stream.chain.deps.clock.after(delayMs, () => {
      this.cancelBackoff = undefined;
      if (!this.stream.over) this.start(runtime, false, false);
    });
  }

  /** An attempt is under way, or will be. */
  private get pending(): boolean {
    return this.current !== undefined || this.cancelBackoff !== undefined;
  }

  private hasRivals(attempt: Attempt): boolean {
    return this.cancelBackoff !== undefined || this.current !== attempt || (this.others?.length ?? 0) > 0;
  }

  /** False: it was none of those under way. */
  private drop(attempt: Attempt): boolean {
    const { others } = this;
    if (this.current === attempt) {
      this.current = others?.pop();
      return true;
    }
    const at = others?.indexOf(attempt) ?? -1;
    if (at >= 0) others?.splice(at, 1);
    return at >= 0;
  }

  /** The first good answer: all others are given up. */
  private win(winner: Attempt, head: ResponseHead, runtime: ClusterRuntime): void {
    const { stream, hedge } = this;
    const { recorder } = stream.chain.deps;
    this.hedgeTimer?.disarm();
    this.cancelBackoff?.();
    this.cancelBackoff = undefined;
    this.retries.release();
    observeAnswer(hedge, runtime, winner, head);
    if (winner.hedged) recorder.count('hedge.won');
    if (this.others === undefined) return;
    const losers = this.current === undefined ? this.others : [...this.others, this.current];
    this.current = winner;
    this.others = undefined;
    stream.context.host = winner.host;
    winner.tellStats();
    for (const loser of losers) {
      if (loser === winner) continue;
      recorder.count('hedge.lost');
      observeLoser(hedge, runtime, loser);
      loser.abandon(lostRace);
    }
  }
}
