import type { ProxyError } from '../http/errors.ts';
import type { ResponseHead } from '../http/exchange.ts';
import type { RequestContext } from './context.ts';

/**
 * One concern of a request, made once for a listener's HTTP connection manager and shared by its requests: what it
 * learns of a request goes into the context. A filter knows no other filter; `chain.ts` puts them in order.
 */
export interface RequestFilter {
  /** An error ends the request. */
  onRequest(context: RequestContext): ProxyError | undefined;
  /** Before the head of the final response goes to the client. */
  onResponse?(context: RequestContext, head: ResponseHead): void;
}
