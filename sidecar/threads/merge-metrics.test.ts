import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../telemetry/metrics.ts';
import { emptyRecord } from '../telemetry/record.ts';
import { countersOf, mergeMetrics } from './merge-metrics.ts';

function metricsOf(requests: number, service: string): Metrics {
  const metrics = new Metrics();
  for (let i = 0; i < requests; i++) {
    metrics.observe({
      ...emptyRecord('inbound'),
      method: 'GET',
      status: 200,
      durationMs: 2,
      destinationService: service,
    });
    metrics.count('an "odd" event');
  }
  metrics.connection('inbound', 1);
  return metrics;
}

const value = (text: string, sample: string): number => {
  const line = text.split('\n').find((other) => other.startsWith(sample));
  return Number(line?.slice(line.lastIndexOf(' ') + 1));
};

test('series of several threads are one, summed; what only one has stays', () => {
  const texts = [
    metricsOf(3, 'shop/cart').render(),
    metricsOf(4, 'shop/cart').render(),
    metricsOf(5, 'a } b').render(),
  ];
  const merged = mergeMetrics(texts);
  const sums = new Map<string, number>();
  for (const line of merged.split('\n')) {
    if (!line.startsWith('weft_requests_total{')) continue;
    sums.set(/destination_service="([^"]*)"/.exec(line)?.[1] ?? '', Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  assert.deepEqual(
    [...sums],
    [
      ['shop/cart', 7],
      ['a } b', 5],
    ],
  );
  assert.equal(value(merged, 'weft_connections_active{direction="inbound"}'), 3);
  assert.equal(value(merged, 'weft_events_total{event="an \\"odd\\" event"}'), 12);
  for (const line of new Set(texts[0]?.split('\n').filter((text) => text.startsWith('# ')))) {
    assert.equal(merged.split('\n').filter((other) => other === line).length, 1, line);
  }
});

test('one text is left as it is', () => {
  const text = metricsOf(3, 'shop/cart').render();
  assert.equal(mergeMetrics([text]), text);
});

test('of a thread that has ended the counters stay, and what was open does not', () => {
  const past = countersOf(metricsOf(3, 'shop/cart').render());
  const merged = mergeMetrics([metricsOf(1, 'shop/cart').render(), past]);
  assert.equal(value(merged, 'weft_requests_total{'), 4);
  assert.equal(value(merged, 'weft_connections_active{direction="inbound"}'), 1);
});
