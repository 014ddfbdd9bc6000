import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accessLogLine } from './access-log.ts';
import { Metrics } from './metrics.ts';
import { emptyRecord, type RequestRecord } from './record.ts';
import { SpanRing } from './span-ring.ts';

const base: RequestRecord = {
  ...emptyRecord('outbound'),
  startUnixMs: 1_700_000_000_000,
  durationMs: 12,
  upstreamMs: 10,
  method: 'GET',
  authority: 'cart.shop.svc',
  path: '/cart/42',
  status: 200,
  route: 'shop/cart/0',
  cluster: 'outbound/shop/cart/80',
  upstream: '10.200.0.7:8080',
  attempts: 1,
  sourceWorkload: 'shop/web',
  destinationWorkload: 'shop/cart',
  destinationService: 'shop/cart',
  remote: '10.200.0.5:40000',
  destination: '10.200.128.9:80',
  bytesReceived: 100,
  bytesSent: 200,
  mtls: true,
  requestId: 'a',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  sampled: true,
};

describe('Metrics', () => {
  test('golden signals by source and destination', () => {
    const metrics = new Metrics();
    metrics.observe(base);
    metrics.observe({ ...base, durationMs: 700, attempts: 3 });
    metrics.observe({ ...base, status: 503, flag: 'UO' });
    const text = metrics.render();
    assert.match(
      text,
      /weft_requests_total\{[^}]*source_workload="shop\/web"[^}]*destination_service="shop\/cart"[^}]*response_code="200"[^}]*\} 2/,
    );
    assert.match(text, /weft_requests_total\{[^}]*response_code="503"[^}]*response_flags="UO"[^}]*\} 1/);
    assert.match(text, /weft_request_duration_seconds_bucket\{[^}]*response_code="200"[^}]*le="0.025"\} 1/);
    assert.match(text, /weft_request_duration_seconds_bucket\{[^}]*response_code="200"[^}]*le="\+Inf"\} 2/);
    assert.match(text, /weft_request_retries_total\{[^}]*response_code="200"[^}]*\} 2/);
  });

  test('invented label values end in one overflow series, counted', () => {
    const metrics = new Metrics();
    for (let i = 0; i < 2_010; i++) metrics.observe({ ...base, destinationService: `ns/s${i}` });
    assert.equal(metrics.eventCount('metric_series_overflow'), 10);
    assert.match(metrics.render(), /weft_requests_total\{direction="",overflow="true"\} 10/);
  });

  test('label values are escaped, methods bounded', () => {
    const metrics = new Metrics();
    metrics.observe({ ...base, method: 'BREW', sourceWorkload: 'a"b\\c\nd' });
    metrics.observe({ ...base, method: 'STEEP', sourceWorkload: 'a"b\\c\nd' });
    const text = metrics.render();
    // One series: two with the same labels make Prometheus refuse the whole page.
    assert.equal(text.match(/weft_requests_total\{[^}]*method="OTHER"/g)?.length, 1);
    assert.ok(text.includes('source_workload="a\\"b\\\\c\\nd"'));
  });
});

test('an access log line is one JSON object that names flag and rule', () => {
  const line = accessLogLine({ ...base, status: 403, flag: 'UAEX', rule: 'shop/deny-all/0' });
  assert.ok(!line.includes('\n'));
  const parsed = JSON.parse(line) as Record<string, unknown>;
  assert.equal(parsed['rule'], 'shop/deny-all/0');
  assert.equal(parsed['flags'], 'UAEX');
});

test('the span ring gives the oldest up, in order, and counts it', () => {
  const ring = new SpanRing(3);
  for (let i = 0; i < 5; i++) ring.push({ ...base, spanId: `${i}` });
  assert.equal(ring.overwritten, 2);
  assert.deepEqual(
    ring.drain().map((span) => span.spanId),
    ['2', '3', '4'],
  );
  assert.deepEqual(ring.drain(), []);
});

test('opaque connections are seen while they are open, and never twice', () => {
  const metrics = new Metrics();
  const record: RequestRecord = { ...base, protocol: 'tcp', method: '', status: 0 };
  const progress = { bytesReceived: 10, bytesSent: 20 };
  const closed = metrics.tcpOpened(record, progress);
  const value = (name: string): string | undefined =>
    new RegExp(`^${name}\\{[^}]*destination_service="shop/cart"[^}]*response_flags=""[^}]*\\} (\\d+)`, 'm').exec(
      metrics.render(),
    )?.[1];
  assert.equal(value('weft_tcp_connections_opened_total'), '1');
  assert.equal(value('weft_tcp_connections_closed_total'), '0');
  assert.equal(value('weft_tcp_received_bytes_total'), '10');
  progress.bytesSent = 30;
  assert.equal(value('weft_tcp_sent_bytes_total'), '30');
  closed();
  closed();
  metrics.observe({ ...record, flag: 'UC', bytesReceived: 10, bytesSent: 30 });
  assert.equal(value('weft_tcp_sent_bytes_total'), '30');
  assert.match(metrics.render(), /weft_tcp_connections_closed_total\{[^}]*response_flags="UC"[^}]*\} 1/);
});
