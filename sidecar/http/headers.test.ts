import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Headers } from './headers.ts';

const list = (headers: Headers): string[] => {
  const out: string[] = [];
  headers.forEach((name, value) => {
    out.push(name, value);
  });
  return out;
};

describe('Headers', () => {
  test('keeps order and casing, looks up by lower case', () => {
    const headers = Headers.from(['HoSt', 'x', 'X-Own', 'a', 'x-own', 'b']);
    assert.deepEqual(list(headers), ['HoSt', 'x', 'X-Own', 'a', 'x-own', 'b']);
    assert.equal(headers.get('host'), 'x');
    assert.deepEqual(headers.getAll('x-own'), ['a', 'b']);
    assert.equal(headers.combined('x-own'), 'a, b');
    assert.equal(headers.get('absent'), undefined);
    assert.equal(headers.lowerAt(1), 'x-own');
  });

  test('set replaces the first in its place and drops the others', () => {
    const headers = Headers.from(['A', '1', 'B', '2', 'a', '3', 'C', '4']);
    headers.set('a', '9');
    assert.deepEqual(list(headers), ['a', '9', 'B', '2', 'C', '4']);
    headers.set('D', '5');
    assert.equal(headers.valueAt(3), '5');
  });

  test('a clone is independent', () => {
    const headers = Headers.from(['A', '1']);
    const copy = headers.clone();
    copy.set('A', '2');
    assert.equal(headers.get('a'), '1');
  });

  test('behaves as a naive list of pairs', () => {
    const name = fc.constantFrom('Host', 'host', 'X-A', 'x-a', 'X-B', 'Etag');
    const step = fc.record({
      kind: fc.constantFrom('append', 'line', 'set', 'remove'),
      name,
      value: fc.string({ maxLength: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const headers = new Headers();
        let model: [string, string][] = [];
        for (const { kind, name, value } of steps) {
          const lower = name.toLowerCase();
          const at = model.findIndex(([n]) => n.toLowerCase() === lower);
          if (kind === 'append' || kind === 'line' || (kind === 'set' && at === -1)) model.push([name, value]);
          else if (kind === 'set') {
            model = model.filter(([n], i) => i === at || n.toLowerCase() !== lower);
            model[at] = [name, value];
          } else model = model.filter(([n]) => n.toLowerCase() !== lower);
          if (kind === 'append') headers.append(name, value);
          else if (kind === 'line') headers.appendLowered(name, lower, value, `${name}: ${value}\r\n`);
          else if (kind === 'set') headers.set(name, value);
          else assert.equal(headers.remove(lower), at !== -1);
        }
        assert.deepEqual(list(headers), model.flat());
        assert.equal(headers.lines, model.map(([n, v]) => `${n}: ${v}\r\n`).join(''));
        assert.equal(headers.clone().lines, headers.lines);
        assert.deepEqual([headers.length, headers.nameAt(model.length)], [model.length, '']);
        assert.equal(
          headers.bytes,
          model.reduce((sum, [n, v]) => sum + n.length + v.length + 4, 0),
        );
      }),
    );
  });
});
