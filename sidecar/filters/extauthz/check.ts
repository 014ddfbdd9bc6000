import type { RequestContext } from '../context.ts';
import { HELD, type HeldRequest, type LocalReply, type Refusal, type Verdict } from '../filter.ts';
import { BodyTap, type TapEnd } from './body-tap.ts';
import { type AuthorizerAnswer, AuthorizerCall, type CallFailure, type CallOwner } from './call.ts';
import type { CheckedBody } from './check-messages.ts';
import type { ExtAuthzFilter } from './filter.ts';
import { changeQuery, changeRequest, type Judgement, type Permission } from './judgement.ts';
import type { ExternalAuthorization } from './state.ts';

const noChange = { set: [], add: [], remove: [] } as const;

/** One request that an authorizer is asked about, from its head to the verdict. */
export class AuthorizerCheck implements CallOwner {
  private readonly filter: ExtAuthzFilter;
  private readonly context: RequestContext;
  private readonly state: ExternalAuthorization;
  private readonly request: HeldRequest;
  private call: AuthorizerCall | undefined = undefined;
  private tap: BodyTap | undefined = undefined;
  /** Nothing is called back yet: what comes about now is the filter's own answer. */
  private starting = true;
  private settled = false;
  private verdict: Verdict = undefined;

  constructor(filter: ExtAuthzFilter, context: RequestContext, state: ExternalAuthorization, request: HeldRequest) {
    this.filter = filter;
    this.context = context;
    this.state = state;
    this.request = request;
  }

  start(): Verdict {
    const { body } = this.filter.authz;
    const { exchange, head } = this.context;
    if (body === undefined || exchange.endOfRequest || head.protocol !== undefined) this.ask(undefined);
    else if (!body.partial && head.contentLength > body.bytesMax) this.tooLarge();
    else this.gather(exchange, body.bytesMax);
    this.starting = false;
    return this.settled ? this.verdict : HELD;
  }

  /** The exchange is over before there was an answer. */
  cancel(): void {
    if (this.settled) return;
    this.settled = true;
    this.filter.count('cancelled');
    this.leave();
    this.call?.cancel();
  }

  onAnswer(answer: AuthorizerAnswer): void {
    if (this.settled) return;
    this.judged(this.filter.judge(answer));
  }

  onFailure(failure: CallFailure, detail: string): void {
    if (!this.settled) this.failed(failure, detail);
  }

  private gather(exchange: RequestContext['exchange'], bytesMax: number): void {
    const tap = new BodyTap(exchange, bytesMax, (end) => this.gathered(end));
    this.context.exchange = tap;
    this.tap = tap;
    tap.start();
  }

  private gathered(end: TapEnd): void {
    const { body } = this.filter.authz;
    const { tap } = this;
    if (this.settled || body === undefined || tap === undefined) return;
    if (end === 'overflow') this.failed('overflow', 'the bodies of held requests take too much memory');
    else if (end === 'full' && !body.partial) this.tooLarge();
    else this.ask({ bytes: tap.take(), partial: end === 'full', raw: body.raw });
  }

  private ask(body: CheckedBody | undefined): void {
    const { head, message } = this.filter.question(this.context, body);
    this.call = new AuthorizerCall(this.filter.deps, head, message, this);
    this.call.start(this.filter.authz.service.cluster, this.filter.authz.timeoutMs);
  }

  private judged(judgement: Judgement): void {
    switch (judgement.kind) {
      case 'allowed':
        this.allow(judgement);
        return;
      case 'denied': {
        this.filter.count('denied');
        const { status, set, add, body } = judgement;
        // Neither status has a body (RFC 9110 sections 15.3.5 and 15.4.5).
        const bodiless = status === 204 || status === 304;
        this.refuse(status, bodiless ? '' : body, 'denied', { set, add, remove: [] });
        return;
      }
      case 'failed':
        this.failed('malformed', judgement.detail);
        return;
      case 'malformed':
        this.filter.count('failed', 'malformed');
        this.refuse(this.filter.authz.validatesMutations ? 500 : this.filter.authz.errorStatus, '', judgement.detail);
    }
  }

  private allow(permission: Permission): void {
    const { head } = this.context;
    this.filter.count('allowed');
    if (permission.ignored > 0) this.filter.deps.recorder.count('ext_authz.field_ignored');
    changeRequest(head.headers, permission);
    head.path = changeQuery(head.path, permission);
    this.state.responseChanges.push(...permission.response);
    this.settle(undefined);
  }

  private tooLarge(): void {
    this.filter.count('denied', 'body');
    const bytesMax = this.filter.authz.body?.bytesMax ?? 0;
    this.refuse(413, `the body is larger than the ${bytesMax} bytes that may be authorized\n`, 'the body is too large');
  }

  /** Nobody could say whether it may pass. */
  private failed(reason: CallFailure | 'malformed', detail: string): void {
    const { authz } = this.filter;
    if (authz.failureAllowed) {
      this.filter.count('failed_open', reason);
      if (authz.tellsFailure) this.context.head.headers.set('x-envoy-auth-failure-mode-allowed', 'true');
      this.settle(undefined);
      return;
    }
    this.filter.count('failed', reason);
    this.refuse(authz.errorStatus, 'the authorizer could not be asked\n', `${reason}: ${detail}`);
  }

  private refuse(status: number, body: string, detail: string, headers: LocalReply['headers'] = noChange): void {
    this.settle({
      kind: 'reply',
      status,
      body,
      headers,
      flag: 'UAEX',
      detail: `external authorization by ${this.filter.authz.statPrefix}: ${detail}`,
    });
  }

  private settle(verdict: Refusal | undefined): void {
    if (this.settled) return;
    this.settled = true;
    this.verdict = verdict;
    this.leave();
    if (this.starting) return;
    if (verdict === undefined) this.request.resume();
    else this.request.refuse(verdict);
  }

  private leave(): void {
    this.tap?.stop();
    this.state.check = undefined;
    this.filter.left();
  }
}
