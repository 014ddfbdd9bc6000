import type { HeaderMutation } from '@weft/policies/model/route';
import type { ProxyError, ResponseFlag } from '../http/errors.ts';
import type { ResponseHead } from '../http/exchange.ts';
import type { CompiledRoute } from '../route/table.ts';
import type { RequestContext } from './context.ts';

/** The filter keeps the request for a while, and calls `resume` or `refuse` of it once, after it has returned. */
export const HELD: unique symbol = Symbol('held');

/** An answer that a filter gives in the place of an upstream. */
export interface LocalReply {
  readonly kind: 'reply';
  readonly status: number;
  readonly body: string;
  readonly headers: HeaderMutation;
  /** Empty: nothing went wrong. */
  readonly flag: ResponseFlag | '';
  /** For the record. */
  readonly detail: string;
  /** Sent as it is: neither the route nor the connection manager changes it. */
  readonly complete?: true;
}

/** The client's stream is reset, or its connection closed: as if nobody had been there. */
export interface StreamReset {
  readonly kind: 'reset';
  readonly error: ProxyError;
}

export type Refusal = ProxyError | LocalReply | StreamReset;

/** Undefined lets the request pass; an error or an answer ends it. */
export type Verdict = undefined | Refusal | typeof HELD;

/** A request that a filter holds. Both do nothing once the exchange is over, of which `onEnd` tells. */
export interface HeldRequest {
  resume(): void;
  refuse(verdict: Refusal): void;
}

/**
 * One concern of a request, made once for a listener's HTTP connection manager and shared by its requests: what it
 * learns of a request goes into the context. A filter knows no other filter; `chain.ts` puts them in order.
 */
export interface RequestFilter {
  /** Before a route is looked for. */
  onRequest?(context: RequestContext, request: HeldRequest): Verdict;
  /** Asked again of an open tunnel when rules have changed. */
  authorizes?(context: RequestContext): Refusal | undefined;
  /** When the route is known, and before anything of it is done; not where a request goes without routes. */
  onRoute?(context: RequestContext, found: CompiledRoute, request: HeldRequest): Verdict;
  /** Before the head of the final response goes to the client. */
  onResponse?(context: RequestContext, head: ResponseHead): void;
  /** Once, when the exchange is over, however it came to that; also while the request is held. */
  onEnd?(context: RequestContext): void;
}

/** Filters by what they want to see, so that no request asks those that do not. */
export class FilterChain {
  readonly onRequest: readonly Wants<'onRequest'>[];
  readonly authorizes: readonly Wants<'authorizes'>[];
  readonly onRoute: readonly Wants<'onRoute'>[];
  readonly onResponse: readonly Wants<'onResponse'>[];
  readonly onEnd: readonly Wants<'onEnd'>[];

  constructor(filters: readonly RequestFilter[]) {
    this.onRequest = filters.filter((filter) => wants(filter, 'onRequest'));
    this.authorizes = filters.filter((filter) => wants(filter, 'authorizes'));
    this.onRoute = filters.filter((filter) => wants(filter, 'onRoute'));
    this.onResponse = filters.filter((filter) => wants(filter, 'onResponse'));
    this.onEnd = filters.filter((filter) => wants(filter, 'onEnd'));
  }
}

type Wants<Moment extends keyof RequestFilter> = RequestFilter & Required<Pick<RequestFilter, Moment>>;

function wants<Moment extends keyof RequestFilter>(filter: RequestFilter, moment: Moment): filter is Wants<Moment> {
  return filter[moment] !== undefined;
}
