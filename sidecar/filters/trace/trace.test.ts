import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import fc from 'fast-check';
import { testConnection } from '../../http/h1/testing.ts';
import { Headers } from '../../http/headers.ts';
import { RequestContext } from '../context.ts';
import { requestHead, TestDownstream } from '../testing.ts';
import { TraceFilter } from './filter.ts';
import { newRequestId } from './ids.ts';
import { formatTraceparent, parseB3, parseTraceparent } from './propagation.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

function traced(fields: readonly string[], samplingPercent: number | undefined): RequestContext {
  const exchange = new TestDownstream(requestHead({ headers: Headers.from(fields) }), true, testConnection);
  const context = new RequestContext(exchange, 0, 0);
  const tracing =
    samplingPercent === undefined ? undefined : { otlpEndpoint: '', otlpProtocol: 'grpc' as const, samplingPercent };
  new TraceFilter(tracing, new SeededPrng(1)).onRequest(context);
  return context;
}

describe('W3C Trace Context', () => {
  test('what is written can be read', () => {
    const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length - 1}}1$`));
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
        assert.deepEqual(parseTraceparent(formatTraceparent(traceId, spanId, sampled)), { traceId, spanId, sampled });
      }),
    );
  });

  test('what is not a traceparent is refused; later versions are read as far as they are known', () => {
    const bad = [
      '',
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE}-${SPAN}-01-x`,
      `ff-${TRACE}-${SPAN}-01`,
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    ];
    for (const text of bad) assert.equal(parseTraceparent(text), undefined, text);
    assert.deepEqual(parseTraceparent(`01-${TRACE}-${SPAN}-03-more`), { traceId: TRACE, spanId: SPAN, sampled: true });
  });

  test('a span of our own below the caller, tracestate untouched', () => {
    const context = traced(['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', 'a=b'], 0);
    assert.equal(context.traceId, TRACE);
    assert.equal(context.parentSpanId, SPAN);
    assert.notEqual(context.spanId, SPAN);
    assert.equal(context.sampled, true);
    assert.equal(context.head.headers.get('traceparent'), `00-${TRACE}-${context.spanId}-01`);
    assert.equal(context.head.headers.get('tracestate'), 'a=b');
  });

  test('a new trace is sampled by percentage, and drops a state without parent', () => {
    assert.equal(traced([], 100).sampled, true);
    const context = traced(['tracestate', 'a=b'], 0);
    assert.equal(context.sampled, false);
    assert.equal(context.head.headers.has('tracestate'), false);
    assert.match(context.traceId, /^[0-9a-f]{32}$/);
  });

  test('without tracing everything passes as it is', () => {
    const context = traced(['traceparent', `00-${TRACE}-${SPAN}-01`], undefined);
    assert.equal(context.head.headers.get('traceparent'), `00-${TRACE}-${SPAN}-01`);
    assert.equal(context.spanId, '');
    assert.equal(context.traceId, TRACE);
  });
});

test('B3, in one header and in several, short trace ids padded', () => {
  const short = '463ac35c9f6413ad';
  assert.deepEqual(parseB3(Headers.from(['b3', `${short}-${SPAN}-1`])), {
    traceId: short.padStart(32, '0'),
    spanId: SPAN,
    sampled: true,
  });
  const several = Headers.from(['X-B3-TraceId', TRACE, 'X-B3-SpanId', SPAN, 'X-B3-Sampled', '0']);
  assert.equal(parseB3(several)?.sampled, false);
  assert.equal(parseB3(Headers.from(['b3', '0'])), undefined);
  const context = traced(['b3', `${TRACE}-${SPAN}-1`], 0);
  assert.equal(context.head.headers.get('b3'), `${TRACE}-${context.spanId}-1`);
  assert.equal(context.parentSpanId, SPAN);
});

test('B3 may bring a decision without ids', () => {
  assert.equal(traced(['b3', '0'], 100).sampled, false);
  assert.equal(traced(['X-B3-Sampled', '0'], 100).sampled, false);
  assert.equal(traced(['X-B3-Sampled', '1'], 0).sampled, true);
});

test('a request id is made once and kept when given', () => {
  assert.match(
    newRequestId(new SeededPrng(7)),
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  assert.equal(traced(['X-Request-ID', 'mine'], undefined).requestId, 'mine');
});
