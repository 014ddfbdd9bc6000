import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { fieldNameAt, hashOf } from '../field-names.ts';
import { FieldScan, parseFields } from './parse-fields.ts';

function parse(text: string): string {
  const scan = new FieldScan();
  const error = parseFields(text, 0, 100, scan);
  const values: string[] = [];
  for (let i = 0; i < scan.headers.length; i++) values.push(scan.headers.valueAt(i));
  return JSON.stringify([error?.kind, values]);
}

function named(name: string) {
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = hashOf(hash, name.charCodeAt(i));
  return fieldNameAt(name, 0, name.length, hash);
}

describe('values that come again', () => {
  const value = fc.oneof(
    fc.constantFrom(
      'a',
      'ab',
      'abc',
      'abc\r',
      'abc\n',
      'a\r\nb',
      '',
      'a b',
      'much longer than twelve',
      '\x01',
      'caf\xe9',
    ),
    fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\t'), maxLength: 4 }),
  );
  const line = fc.tuple(fc.constantFrom(':', ': ', ':  ', ':\t', ': \t'), value, fc.constantFrom('', ' ', '\t'));

  test('are read as those of a name of which none is remembered', () => {
    const property = fc.property(fc.array(line, { minLength: 1, maxLength: 6 }), fc.boolean(), (lines, ends) => {
      const text = (name: string): string =>
        lines.map((parts) => name + parts.join('')).join('\r\n') + (ends ? '\r\n' : '');
      for (let round = 0; round < 2; round++) assert.equal(parse(text('Accept')), parse(text('X-Unremembered')));
    });
    fc.assert(property, { numRuns: 5_000 });
  });

  test('are the same string, which keeps no head alive', () => {
    const read = (): string | undefined => {
      const scan = new FieldScan();
      assert.equal(parseFields('User-Agent: a client of some length\r\nAge: 1', 0, 10, scan), undefined);
      return scan.headers.get('user-agent');
    };
    read();
    assert.equal(read(), 'a client of some length');
    assert.equal(named('User-Agent').lastValue, 'a client of some length');
  });

  test('are not remembered of secrets, of names that are not common, of long ones, and rarely where each is another', () => {
    parse('Authorization: Bearer x\r\nX-Api-Key: y');
    assert.equal(named('Authorization').lastValue, '');
    assert.equal(named('X-Api-Key').lastValue, '');
    parse(`Referer: ${'r'.repeat(300)}`);
    assert.equal(named('Referer').lastValue, '');
    const kept = new Set<string>();
    for (let i = 0; i < 640; i++) {
      parse(`If-Range: value ${i}`);
      kept.add(named('If-Range').lastValue);
    }
    assert.ok(kept.size <= 21, `${kept.size} of 640 values were copied`);
    const before = named('If-Range').lastValue;
    // Nor where two come in turns.
    for (let i = 0; i < 200; i++) parse(`If-Range: ${i % 2 === 0 ? before : 'another'}`);
    assert.equal(named('If-Range').lastValue, before);
    for (let i = 0; i < 65; i++) parse('If-Range: the last one');
    assert.equal(named('If-Range').lastValue, 'the last one');
  });

  test('names are read in any order, and those that are not remembered are not kept by what comes before them', () => {
    const name = fc.constantFrom(
      'Host',
      'host',
      'Accept',
      'accept',
      'Via',
      'X-One',
      'X-Two',
      'Acc',
      'Accept-Encoding',
      'Bad Name',
      '',
    );
    const property = fc.property(fc.array(fc.tuple(name, fc.constantFrom('a', 'b')), { maxLength: 8 }), (fields) => {
      const scan = new FieldScan();
      const bad = fields.find(([each]) => each === '' || each.includes(' '));
      const error = parseFields(fields.map(([each, value]) => `${each}: ${value}`).join('\r\n'), 0, 10, scan);
      assert.equal(error === undefined, bad === undefined);
      if (error !== undefined) return;
      const kept = fields.filter(([each]) => each.toLowerCase() !== 'host');
      const read = kept.map((_, i) => [scan.headers.nameAt(i), scan.headers.valueAt(i)]);
      assert.deepEqual([scan.headers.length, read], [kept.length, kept]);
    });
    fc.assert(property, { numRuns: 3_000 });
    const long = `Via: x\r\nX-${'y'.repeat(80)}: z\r\nX-${'y'.repeat(81)}: z`;
    assert.equal(parseFields(long, 0, 10, new FieldScan()), undefined);
    assert.ok((named('Via').follower?.name.length ?? 0) < 80);
  });
});
