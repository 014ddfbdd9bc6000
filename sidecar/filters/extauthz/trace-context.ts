import type { Headers } from '../../http/headers.ts';
import type { RequestContext } from '../context.ts';

/**
 * The question belongs to the trace of the request (W3C Trace Context), whatever headers the authorizer may see. By then
 * `traceparent` names the span of this proxy, or where nothing is traced here the caller's.
 */
export function traceInto(question: Headers, { head: { headers }, traceId }: RequestContext): void {
  const parent = headers.get('traceparent');
  if (parent === undefined || traceId === '') return;
  if (!question.has('traceparent')) question.append('traceparent', parent);
  const state = headers.combined('tracestate');
  if (state !== undefined && !question.has('tracestate')) question.append('tracestate', state);
}
