import type { Headers } from '../../http/headers.ts';

interface ParentSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined: the caller left the decision to us (B3 allows that). */
  readonly sampled: boolean | undefined;
}

const ZEROS = /^0+$/;
/** W3C Trace Context section 3.2: version, trace-id, parent-id and flags, each after a hyphen; later versions may append more. */
const TRACE_ID_AT = 3;
const SPAN_ID_AT = 36;
const FLAGS_AT = 53;
const TRACEPARENT_CHARS = 55;
const HYPHEN = 0x2d;

/** Value of a lower-case hexadecimal digit, -1 for anything else. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1;
}

/** Digits only, and not all of them zero. */
function isId(text: string, start: number, end: number): boolean {
  let any = 0;
  for (let i = start; i < end; i++) {
    const digit = hexDigit(text.charCodeAt(i));
    if (digit < 0) return false;
    any |= digit;
  }
  return any !== 0;
}

/** Comes with nearly every request, so that it is read without a regular expression. */
export function parseTraceparent(text: string): ParentSpan | undefined {
  const { length } = text;
  if (length < TRACEPARENT_CHARS) return undefined;
  const high = hexDigit(text.charCodeAt(0));
  const low = hexDigit(text.charCodeAt(1));
  if (high < 0 || low < 0 || (high === 15 && low === 15)) return undefined;
  if (length > TRACEPARENT_CHARS) {
    if (high === 0 && low === 0) return undefined;
    if (text.charCodeAt(TRACEPARENT_CHARS) !== HYPHEN) return undefined;
  }
  if (text.charCodeAt(TRACE_ID_AT - 1) !== HYPHEN || text.charCodeAt(SPAN_ID_AT - 1) !== HYPHEN) return undefined;
  if (text.charCodeAt(FLAGS_AT - 1) !== HYPHEN) return undefined;
  if (!isId(text, TRACE_ID_AT, SPAN_ID_AT - 1) || !isId(text, SPAN_ID_AT, FLAGS_AT - 1)) return undefined;
  const flags = hexDigit(text.charCodeAt(FLAGS_AT + 1));
  if (flags < 0 || hexDigit(text.charCodeAt(FLAGS_AT)) < 0) return undefined;
  return {
    traceId: text.slice(TRACE_ID_AT, SPAN_ID_AT - 1),
    spanId: text.slice(SPAN_ID_AT, FLAGS_AT - 1),
    sampled: (flags & 1) === 1,
  };
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

/** Whether ids come as B3 has them. */
export const hasB3 = (headers: Headers): boolean => headers.has('b3') || headers.has('x-b3-traceid');

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
