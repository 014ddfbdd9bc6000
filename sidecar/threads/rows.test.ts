import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumListeners } from './rows.ts';

test('a listener is one row, whichever threads have its connections', () => {
  const addresses = [{ ip: '::', port: 15006 }];
  const inbound = { name: 'inbound', addresses };
  const outbound = { name: 'outbound', addresses: [], connections: 1, accepted: 1 };
  const threads = [
    [{ ...inbound, connections: 2, accepted: 7 }, outbound],
    [{ ...inbound, connections: 3, accepted: 5 }],
  ];
  assert.deepEqual(sumListeners(threads), [{ ...inbound, connections: 5, accepted: 12 }, outbound]);
});
