import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpanKind, StoredSpan } from '../support/otlp-json.ts';
import { missingHops, traceTree } from '../support/trace-tree.ts';

function span(service: string, kind: SpanKind, spanId: string, parentSpanId: string, startMs: number): StoredSpan {
  return {
    traceId: 't',
    spanId,
    parentSpanId,
    name: 'GET',
    kind,
    service,
    resource: {},
    attributes: {},
    status: 'unset',
    startUnixNs: BigInt(startMs) * 1_000_000n,
    endUnixNs: BigInt(startMs + 50) * 1_000_000n,
  };
}

const chain = [
  span('web', 'server', 'a', '', 0),
  span('web', 'client', 'b', 'a', 10),
  span('cart', 'server', 'c', 'b', 20),
  span('cart', 'client', 'd', 'c', 30),
  span('stock', 'server', 'e', 'd', 40),
];

describe('traceTree', () => {
  test('a chain of sidecars', () => {
    const tree = traceTree(chain, 't');
    assert.deepEqual(tree.problems, []);
    assert.deepEqual(tree.hops, [
      { from: 'web', to: 'cart' },
      { from: 'cart', to: 'stock' },
    ]);
    assert.deepEqual(missingHops(tree, [{ from: 'web', to: 'stock' }]), [{ from: 'web', to: 'stock' }]);
  });

  test('a root below a client that exports nothing', () => {
    const [root, ...rest] = chain;
    assert.ok(root !== undefined);
    const spans = [{ ...root, parentSpanId: 'external' }, ...rest];
    assert.deepEqual(traceTree(spans, 't', 'external').problems, []);
    assert.equal(traceTree(spans, 't').problems.length, 2);
  });

  test('what is not a tree', () => {
    const without = (id: string): readonly StoredSpan[] => chain.filter(({ spanId }) => spanId !== id);
    assert.match(traceTree(without('b'), 't').problems.join(), /server span c of cart has the unknown parent b/);
    assert.match(traceTree([...chain, ...chain.slice(-1)], 't').problems.join(), /arrived twice/);
    assert.match(traceTree([], 't').problems.join(), /0 roots/);
    assert.match(
      traceTree([...chain, span('x', 'client', 'y', 'z', 0), span('x', 'server', 'z', 'y', 0)], 't').problems.join(),
      /is its own ancestor/,
    );
    assert.match(
      traceTree([...chain, span('stock', 'server', 'f', 'c', 50)], 't').problems.join(),
      /a server's parent is a client span/,
    );
    assert.match(
      traceTree([...chain, span('web', 'client', 'f', 'c', 50)], 't').problems.join(),
      /belong to one service/,
    );
    assert.match(
      traceTree([...without('e'), span('stock', 'server', 'e', 'd', 5)], 't').problems.join(),
      /starts before it/,
    );
  });
});
