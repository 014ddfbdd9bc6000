import type { Prng } from '@weft/policies/kit/prng';
import type { Direction, HttpConnectionManager, Listener, TracingSettings } from '@weft/policies/model/listener';
import type { ProxyError } from '../../http/errors.ts';
import type { DownstreamConnection } from '../../http/exchange.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { newRequestId, newSpanId, newTraceId } from './ids.ts';
import {
  b3Decision,
  formatTraceparent,
  hasB3,
  isTraceContext,
  parseB3,
  parseTraceparent,
  updateB3,
} from './propagation.ts';
import { cryptoWords, type RandomWords } from './words.ts';

interface TraceOptions {
  readonly generatesId: boolean;
  /** The trace that a client of this connection brings is not continued. */
  readonly restarts: (connection: DownstreamConnection) => boolean;
}

/**
 * Whose traces a listener does not continue: of clients outside the mesh, where it faces them, unless proxies in front
 * are trusted. A stranger could otherwise have its requests sampled, or make one trace of everybody's.
 */
export function restartsTraces(
  setting: Listener['traceContext'],
  direction: Direction,
  { trustedHops, edge }: Pick<HttpConnectionManager, 'trustedHops' | 'edge'>,
): TraceOptions['restarts'] {
  const faces = direction === 'inbound' || edge.useRemoteAddress;
  if (setting !== 'restart' || !faces || trustedHops > 0) return () => false;
  return ({ peer }) => peer?.spiffeId === undefined;
}

/**
 * Gives each request an id and, when tracing is on, a span of its own below the caller's. Without tracing the caller's
 * trace headers pass untouched, so that a trace through an untraced hop stays whole. `tracestate` always passes as it is.
 */
export class TraceFilter implements RequestFilter {
  private readonly tracing: TracingSettings | undefined;
  private readonly prng: Prng;
  private readonly options: TraceOptions;
  private readonly words: RandomWords;

  constructor(
    tracing: TracingSettings | undefined,
    prng: Prng,
    options: TraceOptions = { generatesId: true, restarts: () => false },
    words: RandomWords = cryptoWords,
  ) {
    this.tracing = tracing;
    this.prng = prng;
    this.options = options;
    this.words = words;
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const { headers } = context.head;
    const given = headers.get('x-request-id');
    if (given !== undefined && given !== '') {
      context.requestId = given;
    } else if (this.options.generatesId) {
      context.requestId = newRequestId(this.words);
      headers.set('X-Request-Id', context.requestId);
    }
    if (this.options.restarts(context.connection)) headers.removeWhere(isTraceContext);
    const traceparent = headers.get('traceparent');
    if (this.tracing === undefined && traceparent !== undefined && traceparent !== '' && !hasB3(headers)) {
      context.unreadTrace = traceparent;
      return undefined;
    }
    const parent = (traceparent === undefined ? undefined : parseTraceparent(traceparent)) ?? parseB3(headers);
    if (this.tracing === undefined) {
      if (parent !== undefined) context.setTrace(parent.traceId, parent.spanId);
      return undefined;
    }
    // W3C Trace Context section 4.3: a traceparent that cannot be read starts a new trace, and its state goes with it.
    if (parent === undefined) headers.remove('tracestate');
    const traceId = parent?.traceId ?? newTraceId(this.words);
    context.setTrace(traceId, parent?.spanId ?? '');
    context.spanId = newSpanId(this.words);
    context.sampled = parent?.sampled ?? b3Decision(headers) ?? this.prng.next() * 100 < this.tracing.samplingPercent;
    headers.set('traceparent', formatTraceparent(traceId, context.spanId, context.sampled));
    updateB3(headers, traceId, context.spanId, context.sampled);
    return undefined;
  }
}
