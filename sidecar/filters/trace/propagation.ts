import type { Headers } from '../../http/headers.ts';

export interface ParentSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: the caller left the decision to us (B3 allows that). */
  readonly sampled: boolean | undefined;
}

/** W3C Trace Context section 3.2: version, trace-id, parent-id, flags; later versions may append more. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const ZEROS = /^0+$/;

export function parseTraceparent(text: string): ParentSpan | undefined {
  const match = TRACEPARENT.exec(text);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match;
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent(traceId: string, spanId: string, sampled: boolean): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`;
}

const B3_TRACE = /^(?:[0-9a-f]{16}|[0-9a-f]{32})$/i;
const B3_SPAN = /^[0-9a-f]{16}$/i;

function b3Sampled(text: string | undefined): boolean | undefined {
  if (text === '1' || text === 'd' || text === 'true') return true;
  if (text === '0' || text === 'false') return false;
  return undefined;
}

function b3Parent(
  traceId: string | undefined,
  spanId: string | undefined,
  sampled: boolean | undefined,
): ParentSpan | undefined {
  if (traceId === undefined || spanId === undefined) return undefined;
  if (!B3_TRACE.test(traceId) || !B3_SPAN.test(spanId) || ZEROS.test(traceId) || ZEROS.test(spanId)) return undefined;
  return { traceId: traceId.toLowerCase().padStart(32, '0'), spanId: spanId.toLowerCase(), sampled };
}

/** B3 in one header, `<trace>-<span>[-<sampled>[-<parent>]]`, or in several. */
export function parseB3(headers: Headers): ParentSpan | undefined {
  const single = headers.get('b3');
  if (single !== undefined) {
    const [traceId, spanId, sampled] = single.split('-');
    return b3Parent(traceId, spanId, b3Sampled(sampled));
  }
  const debug = headers.get('x-b3-flags') === '1';
  const sampled = debug ? true : b3Sampled(headers.get('x-b3-sampled'));
  return b3Parent(headers.get('x-b3-traceid'), headers.get('x-b3-spanid'), sampled);
}

/** A decision without ids, which B3 allows: `b3: 0`, or `X-B3-Sampled` alone. */
export function b3Decision(headers: Headers): boolean | undefined {
  const single = headers.get('b3');
  if (single !== undefined) return b3Sampled(single);
  return headers.get('x-b3-flags') === '1' ? true : b3Sampled(headers.get('x-b3-sampled'));
}

/** Rewrites the B3 headers that are there, so that an application that reads those sees the same parent as by W3C. */
export function updateB3(headers: Headers, traceId: string, spanId: string, sampled: boolean): void {
  if (headers.has('b3')) headers.set('b3', `${traceId}-${spanId}-${sampled ? '1' : '0'}`);
  if (headers.has('x-b3-traceid')) {
    headers.set('X-B3-TraceId', traceId);
    headers.set('X-B3-SpanId', spanId);
    headers.set('X-B3-Sampled', sampled ? '1' : '0');
    headers.remove('x-b3-parentspanid');
  }
}

/** W3C Trace Context, its baggage left out, and B3. */
export const isTraceContext = (lower: string): boolean =>
  lower === 'traceparent' || lower === 'tracestate' || lower === 'b3' || lower.startsWith('x-b3-');
