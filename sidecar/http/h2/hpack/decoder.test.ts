import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type FieldSink, HpackDecoder } from './decoder.ts';
import type { HpackErrorKind } from './error.ts';
import { type Field, FieldKind, newField } from './field.ts';
import { Collected, decodeAll, errorOf, hex } from './testing.ts';

const newDecoder = (options: { stringBytesMax?: number; keepsCase?: boolean; tableBytesMax?: number } = {}) =>
  new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 65_536, keepsCase: false, ...options });

/** A plain string shorter than 127 octets. */
const text = (value: string): Buffer => Buffer.from(String.fromCharCode(value.length) + value, 'latin1');
const literal = (name: string, value: string, first = 0x00): Buffer =>
  Buffer.concat([Buffer.from([first]), text(name), text(value)]);
const INCREMENTAL = 0x40;

describe('HPACK decoder: errors', () => {
  const cases: readonly (readonly [what: string, block: string, kind: HpackErrorKind, section: string])[] = [
    ['index 0', '80', 'index', '2.3.3'],
    ['index beyond the static table', 'be', 'index', '2.3.3'],
    ['long index beyond the tables', 'ff8001', 'index', '2.3.3'],
    ['name index beyond the tables', '7e0161', 'index', '2.3.3'],
    ['name index beyond the tables, without indexing', '0f300161', 'index', '2.3.3'],
    ['index that ends in its first octet', 'ff', 'truncated', '5.1'],
    ['index that ends in its second octet', 'ff80', 'truncated', '5.1'],
    ['name index that ends', '7f', 'truncated', '5.1'],
    ['length that ends', '00ff', 'truncated', '5.1'],
    ['size update that ends', '3f', 'truncated', '5.1'],
    ['integer of too many octets', 'ff8080808001', 'integer-overflow', '5.1'],
    ['integer of too many octets that all are 0', 'ff8080808000', 'integer-overflow', '5.1'],
    ['length of too many octets', '00ffffffffff0f', 'integer-overflow', '5.1'],
    ['literal without a name', '00', 'truncated', '5.2'],
    ['literal without a value', '000161', 'truncated', '5.2'],
    ['literal of a known name without a value', '41', 'truncated', '5.2'],
    ['name that ends', '000361', 'truncated', '5.2'],
    ['value that ends', '0001610361', 'truncated', '5.2'],
    ['Huffman value that ends', '000161831c', 'truncated', '5.2'],
    ['EOS in a string', '00016184ffffffff', 'huffman', '5.2'],
    ['EOS after a symbol', '000161851fffffffff', 'huffman', '5.2'],
    ['padding of eight ones', '000161821fff', 'huffman', '5.2'],
    ['padding of zeros', '0001618118', 'huffman', '5.2'],
    ['padding of a whole octet', '00016181ff', 'huffman', '5.2'],
    ['size update above the setting', '3fe21f', 'table-size', '6.3'],
    ['size update after a field', '8220', 'table-size', '4.2'],
    ['size update after a literal', '000161016120', 'table-size', '4.2'],
  ];
  for (const [what, block, kind, section] of cases) {
    test(what, () => {
      const error = errorOf(newDecoder(), hex(block));
      assert.equal(error.kind, kind, error.detail);
      assert.equal(error.section, `RFC 7541 section ${section}`);
    });
  }

  test('strings longer than the limit', () => {
    const decoder = newDecoder({ stringBytesMax: 4 });
    assert.equal(decodeAll(decoder, literal('abcd', 'efgh')).length, 1);
    assert.equal(errorOf(decoder, literal('abcde', '')).kind, 'string-too-long');
    assert.equal(errorOf(decoder, literal('a', 'abcde')).kind, 'string-too-long');
    // `aaaaa` of five bits each, and a length that cannot decode to few enough: both before the octets are there.
    assert.equal(errorOf(decoder, hex('0001618418c6318f')).kind, 'string-too-long');
    assert.equal(errorOf(decoder, hex('000161ff8001')).kind, 'string-too-long');
    assert.equal(errorOf(decoder, hex('0001617f8001')).kind, 'string-too-long');
  });

  test('fields before an error have been handed out, those after it are not', () => {
    const sink = new Collected();
    const error = newDecoder().decode(hex('82848082'), 0, 4, sink);
    assert.equal(error?.kind, 'index');
    assert.deepEqual(sink.namesAndValues, [
      [':method', 'GET'],
      [':path', '/'],
    ]);
  });
});

describe('HPACK decoder: table', () => {
  test('decodes a part of a buffer and nothing beside it', () => {
    const sink = new Collected();
    assert.equal(newDecoder().decode(hex('ffff8284ffff'), 2, 4, sink), undefined);
    assert.equal(sink.fields.length, 2);
  });

  test('hands out the same field for each reference', () => {
    const decoder = newDecoder();
    const [added] = decodeAll(decoder, literal('x-a', 'b', INCREMENTAL));
    const again = decodeAll(decoder, hex('bebe'));
    assert.equal(again[0], added);
    assert.equal(again[1], added);
  });

  test('a larger entry than the table empties it and is handed out', () => {
    const decoder = newDecoder();
    decodeAll(decoder, Buffer.concat([hex('3f13'), literal('x-a', 'b', INCREMENTAL)]));
    assert.equal(decoder.tableBytes, 36);
    assert.equal(decodeAll(decoder, literal('x-a', 'b'.repeat(50), INCREMENTAL)).length, 1);
    assert.equal(decoder.tableBytes, 0);
    assert.equal(errorOf(decoder, hex('be')).kind, 'index');
  });

  test('a field may take its name from the entry that it drives out', () => {
    const decoder = newDecoder();
    decodeAll(decoder, Buffer.concat([hex('3f13'), literal('x-abc', 'b', INCREMENTAL)]));
    const [field] = decodeAll(decoder, Buffer.concat([hex('7e'), text('other')]));
    assert.equal(field?.name, 'x-abc');
    assert.equal(field?.value, 'other');
    assert.equal(decoder.tableBytes, 42);
  });

  test('after the setting was lowered the next block begins with an update', () => {
    const decoder = newDecoder();
    decoder.setTableBytesMax(100);
    const error = errorOf(decoder, hex('82'));
    assert.equal(error.kind, 'table-size-missing');
    assert.equal(error.section, 'RFC 7541 section 4.2');
    const other = newDecoder();
    other.setTableBytesMax(100);
    assert.equal(errorOf(other, hex('3f4682')).kind, 'table-size');
    const third = newDecoder();
    third.setTableBytesMax(100);
    assert.equal(decodeAll(third, hex('3f4582')).length, 1);
    assert.equal(decodeAll(third, hex('82')).length, 1);
  });

  test('lowered and raised: the smallest size has to be signalled', () => {
    const decoder = newDecoder();
    decodeAll(decoder, literal('x-a', 'b', INCREMENTAL));
    decoder.setTableBytesMax(0);
    decoder.setTableBytesMax(4_096);
    const silent = errorOf(decoder, hex('3fe11f82'));
    assert.equal(silent.kind, 'table-size-missing');
    decodeAll(decoder, hex('203fe11f82'));
    assert.equal(decoder.tableBytes, 0);
  });

  test('a higher setting holds as soon as it was sent', () => {
    const decoder = newDecoder({ tableBytesMax: 65_536 });
    decodeAll(decoder, hex('3fe1ff0382'));
    for (let i = 0; i < 3_000; i++) decodeAll(decoder, literal(`n${i}`, '', INCREMENTAL));
    assert.ok(decoder.tableBytes > 60_000 && decoder.tableBytes <= 65_536);
  });
});

describe('HPACK decoder: bombs', () => {
  test('references to a large entry cost no memory, and the sink sees their size', () => {
    const decoder = newDecoder();
    const large = Buffer.concat([hex('40 01 61 7f c11e'), Buffer.alloc(4_032, 0x62)]);
    decodeAll(decoder, large);
    assert.ok(decoder.tableBytes > 4_000);
    let bytes = 0;
    let same = true;
    let first: Field | undefined;
    const sink: FieldSink = {
      field(field) {
        first ??= field;
        same &&= field === first;
        bytes += field.sizeBytes;
      },
    };
    const block = Buffer.alloc(100_000, 0xbe);
    assert.equal(decoder.decode(block, 0, block.length, sink), undefined);
    assert.ok(same);
    assert.equal(bytes, 100_000 * decoder.tableBytes);
    assert.ok(decoder.tableBytes <= 4_096);
  });

  test('the table never holds more than its size, however many entries come', () => {
    const decoder = newDecoder();
    for (let i = 0; i < 20_000; i++) {
      decodeAll(decoder, literal(`x-${i}`, 'v'.repeat(i % 90), INCREMENTAL));
      assert.ok(decoder.tableBytes <= 4_096);
    }
  });
});

describe('HPACK fields', () => {
  const K = FieldKind;
  const cases: readonly (readonly [name: string, value: string, kind: number])[] = [
    [':method', 'GET', K.METHOD],
    [':scheme', 'http', K.SCHEME],
    [':authority', 'a', K.AUTHORITY],
    [':path', '/', K.PATH],
    [':status', '200', K.STATUS],
    [':protocol', 'websocket', K.PROTOCOL],
    [':weft-version', '11', K.WEFT_VERSION],
    [':other', 'a', K.UNKNOWN_PSEUDO],
    [':', 'a', K.UNKNOWN_PSEUDO],
    [':Method', 'GET', K.UNKNOWN_PSEUDO],
    ['connection', 'close', K.CONNECTION_SPECIFIC],
    ['keep-alive', 'a', K.CONNECTION_SPECIFIC],
    ['proxy-connection', 'a', K.CONNECTION_SPECIFIC],
    ['transfer-encoding', 'chunked', K.CONNECTION_SPECIFIC],
    ['upgrade', 'a', K.CONNECTION_SPECIFIC],
    ['te', 'trailers', K.TE],
    ['content-length', '0', K.CONTENT_LENGTH],
    ['cookie', 'a=b', K.COOKIE],
    ['host', 'a', K.HOST],
    ['expect', '100-continue', K.EXPECT],
    ['x-any', '', K.REGULAR],
    ['x-any', 'a b\tc\xe9', K.REGULAR],
    ['', 'a', K.INVALID],
    ['X-Any', 'a', K.INVALID],
    ['x any', 'a', K.INVALID],
    ['x:any', 'a', K.INVALID],
    ['x-\xe9', 'a', K.INVALID],
    ['x-any', ' a', K.INVALID],
    ['x-any', 'a ', K.INVALID],
    ['x-any', '\ta', K.INVALID],
    ['x-any', 'a\t', K.INVALID],
    ['x-any', 'a\rb', K.INVALID],
    ['x-any', 'a\nb', K.INVALID],
    ['x-any', 'a\0b', K.INVALID],
    ['x-any', 'a\x7fb', K.INVALID],
    ['x-any', `${'long'.repeat(20)}\n${'long'.repeat(20)}`, K.INVALID],
    [':path', '/a\r\nb: c', K.INVALID],
  ];
  for (const [name, value, kind] of cases) {
    test(JSON.stringify(`${name}: ${value}`), () => {
      const field = newField(name, value, false);
      assert.equal(field.kind, kind);
      assert.equal(field.sizeBytes, name.length + value.length + 32);
      const [decoded] = decodeAll(newDecoder(), Buffer.concat([hex('00'), long(name), long(value)]));
      assert.deepEqual(decoded, field);
    });
  }

  test('a name stays good when its value was not', () => {
    const decoder = newDecoder();
    const [bad] = decodeAll(decoder, literal('te', 'a\nb', INCREMENTAL));
    assert.equal(bad?.kind, K.INVALID);
    const [good] = decodeAll(decoder, Buffer.concat([hex('7e'), text('trailers')]));
    assert.equal(good?.kind, K.TE);
  });

  test('names keep their casing where both sides agreed to', () => {
    const [field] = decodeAll(newDecoder({ keepsCase: true }), literal('Content-LENGTH', '5'));
    assert.equal(field?.name, 'Content-LENGTH');
    assert.equal(field?.lower, 'content-length');
    assert.equal(field?.kind, K.CONTENT_LENGTH);
    assert.equal(newField('X any', 'a', true).kind, K.INVALID);
    assert.equal(newField('Transfer-Encoding', 'a', true).kind, K.CONNECTION_SPECIFIC);
  });
});

/** A plain string of any length. */
function long(value: string): Buffer {
  if (value.length < 0x7f) return text(value);
  const rest = value.length - 0x7f;
  return Buffer.concat([Buffer.from([0x7f, (rest & 0x7f) | 0x80, rest >> 7]), Buffer.from(value, 'latin1')]);
}
