import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { meshEdge } from '@weft/policies/model/edge';
import fc from 'fast-check';
import { testConnection } from '../../http/h1/testing.ts';
import { Headers } from '../../http/headers.ts';
import type { PeerCertificateInfo } from '../../net/connection.ts';
import { RequestContext } from '../context.ts';
import { requestHead, TestDownstream } from '../testing.ts';
import { restartsTraces, TraceFilter } from './filter.ts';
import { newRequestId, newSpanId, newTraceId } from './ids.ts';
import { formatTraceparent, parseB3, parseTraceparent } from './propagation.ts';
import { cryptoWords } from './words.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

function traced(fields: readonly string[], samplingPercent: number | undefined): RequestContext {
  const exchange = new TestDownstream(requestHead({ headers: Headers.from(fields) }), true, testConnection);
  const context = new RequestContext(exchange, systemClock);
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

  test('without tracing the caller is known by B3 where its traceparent says nothing', () => {
    const b3 = `${TRACE}-${SPAN}-1`;
    for (const traceparent of ['', 'x', `00-${'0'.repeat(32)}-${SPAN}-01`]) {
      const context = traced(['traceparent', traceparent, 'b3', b3], undefined);
      context.head.headers.remove('b3');
      assert.deepEqual([context.traceId, context.parentSpanId], [TRACE, SPAN], traceparent);
    }
    const alone = traced(['traceparent', 'x'], undefined);
    alone.head.headers.set('b3', b3);
    assert.deepEqual([alone.traceId, alone.parentSpanId], ['', '']);
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
  assert.match(newRequestId(cryptoWords), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(traced(['X-Request-ID', 'mine'], undefined).requestId, 'mine');
});

describe('ids', () => {
  test('are never the same, over more than one batch of random bits', () => {
    const ids = new Set<string>();
    for (let i = 0; i < 5_000; i++) ids.add(newRequestId(cryptoWords)).add(newTraceId(cryptoWords));
    assert.equal(ids.size, 10_000);
  });

  test('are never all zero', () => {
    assert.equal(newSpanId({ next: () => 0 }), '0000000000000001');
    assert.equal(newTraceId({ next: () => 0xffff_ffff }), 'f'.repeat(32));
  });
});

test('traces from outside are begun anew where the listener says so', () => {
  const outside = testConnection;
  const peer = { spiffeId: 'spiffe://cluster.local/ns/a/sa/b' } as PeerCertificateInfo;
  const inside = { ...testConnection, peer };
  const hcm = (trustedHops: number, useRemoteAddress = false) => ({
    trustedHops,
    edge: { ...meshEdge, useRemoteAddress },
  });
  assert.equal(restartsTraces('restart', 'inbound', hcm(0))(outside), true);
  assert.equal(restartsTraces('restart', 'inbound', hcm(0))(inside), false);
  assert.equal(restartsTraces('restart', 'inbound', hcm(1))(outside), false);
  assert.equal(restartsTraces('restart', 'outbound', hcm(0))(outside), false);
  assert.equal(restartsTraces('restart', 'outbound', hcm(0, true))(outside), true);
  assert.equal(restartsTraces(undefined, 'inbound', hcm(0))(outside), false);

  const fields = ['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', 'a=b', 'X-B3-Sampled', '1', 'b3', '1'];
  const exchange = new TestDownstream(requestHead({ headers: Headers.from(fields) }), true, outside);
  const context = new RequestContext(exchange, systemClock);
  const tracing = { otlpEndpoint: '', otlpProtocol: 'grpc' as const, samplingPercent: 0 };
  new TraceFilter(tracing, new SeededPrng(1), { generatesId: true, restarts: () => true }).onRequest(context);
  assert.notEqual(context.traceId, TRACE);
  assert.equal(context.parentSpanId, '');
  assert.equal(context.sampled, false);
  const { headers } = context.head;
  assert.equal(headers.get('traceparent'), `00-${context.traceId}-${context.spanId}-00`);
  assert.deepEqual([headers.has('tracestate'), headers.has('b3'), headers.has('x-b3-sampled')], [false, false, false]);
});
