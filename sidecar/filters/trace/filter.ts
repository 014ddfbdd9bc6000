import type { Prng } from '@weft/policies/kit/prng';
import type { TracingSettings } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { newRequestId, newSpanId, newTraceId } from './ids.ts';
import { b3Decision, formatTraceparent, parseB3, parseTraceparent, updateB3 } from './propagation.ts';

/**
 * Gives each request an id and, when tracing is on, a span of its own below the caller's. Without tracing the caller's
 * trace headers pass untouched, so that a trace through an untraced hop stays whole. `tracestate` always passes as it is.
 */
export class TraceFilter implements RequestFilter {
  private readonly tracing: TracingSettings | undefined;
  private readonly prng: Prng;
  private readonly generatesId: boolean;

  constructor(tracing: TracingSettings | undefined, prng: Prng, generatesId = true) {
    this.tracing = tracing;
    this.prng = prng;
    this.generatesId = generatesId;
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const { headers } = context.head;
    const given = headers.get('x-request-id');
    if (given !== undefined && given !== '') {
      context.requestId = given;
    } else if (this.generatesId) {
      context.requestId = newRequestId(this.prng);
      headers.set('X-Request-Id', context.requestId);
    }
    const traceparent = headers.get('traceparent');
    const parent = (traceparent === undefined ? undefined : parseTraceparent(traceparent)) ?? parseB3(headers);
    if (this.tracing === undefined) {
      context.traceId = parent?.traceId ?? '';
      context.parentSpanId = parent?.spanId ?? '';
      return undefined;
    }
    // W3C Trace Context section 4.3: a traceparent that cannot be read starts a new trace, and its state goes with it.
    if (parent === undefined) headers.remove('tracestate');
    context.traceId = parent?.traceId ?? newTraceId(this.prng);
    context.parentSpanId = parent?.spanId ?? '';
    context.spanId = newSpanId(this.prng);
    context.sampled = parent?.sampled ?? b3Decision(headers) ?? this.prng.next() * 100 < this.tracing.samplingPercent;
    headers.set('traceparent', formatTraceparent(context.traceId, context.spanId, context.sampled));
    updateB3(headers, context.traceId, context.spanId, context.sampled);
    return undefined;
  }
}
