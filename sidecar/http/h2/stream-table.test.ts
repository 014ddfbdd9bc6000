import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { StreamTable } from './stream-table.ts';

describe('table of streams', () => {
  test('is what a Map is, whatever comes and goes', () => {
    const step = fc.record({
      id: fc.oneof(fc.integer({ min: 0, max: 40 }), fc.nat({ max: 0x7fffffff })),
      what: fc.constantFrom('add', 'add', 'delete'),
    });
    const property = fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const table = new StreamTable<{ readonly id: number }>();
      const map = new Map<number, { readonly id: number }>();
      for (const { id, what } of steps) {
        const stream = { id };
        if (what === 'add') {
          table.add(stream);
          map.set(id, stream);
        } else {
          table.delete(id);
          map.delete(id);
        }
        assert.equal(table.size, map.size);
        assert.equal(table.get(id), map.get(id));
      }
      const byId = (a: { readonly id: number }, b: { readonly id: number }): number => a.id - b.id;
      assert.deepEqual(table.values().sort(byId), [...map.values()].sort(byId));
      for (const { id } of steps) assert.equal(table.get(id), map.get(id));
    });
    fc.assert(property, { numRuns: 500 });
  });

  test('its streams can go while they are looked at', () => {
    const table = new StreamTable<{ readonly id: number }>();
    for (let id = 1; id < 400; id += 2) table.add({ id });
    for (const { id } of table.values()) table.delete(id);
    assert.equal(table.size, 0);
    assert.equal(table.get(1), undefined);
  });
});
