import assert from 'node:assert/strict';
import { test } from 'node:test';
import { egressRows, egressText } from '../admin/pages/egress.ts';
import { EgressBook } from './egress.ts';
import { Metrics } from './metrics.ts';
import { emptyRecord } from './record.ts';

function book(): { readonly metrics: Metrics; see(fields: object): void } {
  const metrics = new Metrics();
  const seen = new EgressBook(
    (family, labels) => metrics.tally(family, labels),
    (event) => metrics.count(event),
  );
  const see = (fields: object): void =>
    seen.observe({
      ...emptyRecord('outbound'),
      destinationService: 'external/unknown',
      destination: '192.0.2.1:443',
      cluster: 'passthrough',
      ...fields,
    });
  return { metrics, see };
}

test('names and ports are counted by what became of them', () => {
  const { metrics, see } = book();
  see({ authority: 'A.example:443' });
  see({ authority: 'a.example' });
  see({ authority: 'b.example', cluster: 'blackhole', destination: '[2001:db8::1]:80' });
  see({ authority: '[2001:db8::1]:80', cluster: '' });
  see({ authority: '' });
  see({ authority: 'mine', destinationService: 'shop/api' });
  assert.equal(
    egressText(egressRows(metrics.render())),
    '2 allowed a.example 443\n1 allowed - 443\n1 refused [2001:db8::1] 443\n1 refused b.example 80\n',
  );
});

test('clients choose names, and there is an end to them', () => {
  const { metrics, see } = book();
  for (let i = 0; i < 300; i++) see({ authority: `n${i}.example` });
  const rows = egressRows(metrics.render());
  assert.equal(rows.length, 257);
  assert.deepEqual(rows[0], { host: 'other', port: 'other', decision: 'allowed', count: 44 });
  assert.equal(metrics.eventCount('egress.names_max'), 44);
});

test('a name is a label, whatever is in it', () => {
  const { metrics, see } = book();
  see({ authority: 'a"b\\c' });
  assert.equal(egressRows(metrics.render())[0]?.host, 'a"b\\c');
});
