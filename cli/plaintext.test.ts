import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plaintextCallers } from './plaintext.ts';

test('callers without mesh TLS, added up over pods', () => {
  const row = (source: string, tls: string, count: number): string =>
    `weft_plaintext_connections_total{source="${source}",destination_workload="shop/web",destination_port="8080",tls="${tls}"} ${count}`;
  const head = '# TYPE weft_plaintext_connections_total counter';
  const texts = [
    [head, row('load/generator', 'none', 3), row('10.0.0.1', 'own', 1), 'weft_other_total{source="x"} 9'].join('\n'),
    row('load/generator', 'none', 4),
  ];
  assert.deepEqual(plaintextCallers(texts), [
    { source: '10.0.0.1', destination: 'shop/web', port: 8080, kind: 'own-tls', connections: 1 },
    { source: 'load/generator', destination: 'shop/web', port: 8080, kind: 'plaintext', connections: 7 },
  ]);
  assert.deepEqual(plaintextCallers(['']), []);
});
