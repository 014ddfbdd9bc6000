import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ByteWriter } from './byte-writer.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeAll, encodeAll, hex, type NameAndValue } from './testing.ts';

const newEncoder = (options: { tableBytesMax?: number; keepsCase?: boolean } = {}): HpackEncoder =>
  new HpackEncoder({ tableBytesMax: 4_096, keepsCase: false, ...options });
const newDecoder = (keepsCase = false): HpackDecoder =>
  new HpackDecoder({ tableBytesMax: 4_096, stringBytesMax: 65_536, keepsCase });

/** First octet of the representation of one field. */
function firstOctet(encoder: HpackEncoder, name: string, value: string): number {
  return encodeAll(encoder, [[name, value]])[0] ?? -1;
}

const isIndexed = (octet: number): boolean => octet >= 0x80;
const isAdded = (octet: number): boolean => octet >> 6 === 1;
const isNeverIndexed = (octet: number): boolean => octet >> 4 === 1;
const isWithoutIndexing = (octet: number): boolean => octet >> 4 === 0;

describe('HPACK encoder', () => {
  test('what the static table has is one octet', () => {
    const encoder = newEncoder();
    const fields: NameAndValue[] = [
      [':method', 'GET'],
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', '/'],
      [':status', '404'],
      ['accept-encoding', 'gzip, deflate'],
    ];
    for (let i = 0; i < 2; i++) assert.deepEqual(encodeAll(encoder, fields), hex('828387848d90'));
    assert.equal(encoder.tableBytes, 0);
  });

  test('statuses', () => {
    const encoder = newEncoder();
    const out = new ByteWriter(1);
    for (const status of [200, 204, 206, 304, 400, 404, 500]) encoder.status(status, out);
    assert.deepEqual(out.written(), hex('88898a8b8c8d8e'));
    out.clear();
    encoder.status(503, out);
    encoder.status(503, out);
    assert.equal(out.written().at(-1), 0xbe);
  });

  test('a field that comes again is one octet, several values of a name too', () => {
    const encoder = newEncoder();
    const fields: NameAndValue[] = ['a', 'b', 'c'].map((value) => ['x-several', value]);
    encodeAll(encoder, fields);
    assert.deepEqual(encodeAll(encoder, fields), hex('c0bfbe'));
    assert.deepEqual(encodeAll(encoder, [...fields].reverse()), hex('bebfc0'));
  });

  test('secrets are never indexed', () => {
    const encoder = newEncoder();
    for (const [name, value] of [
      ['authorization', 'Bearer abc'],
      ['authorization', `Bearer ${'abc'.repeat(100)}`],
      ['proxy-authorization', 'Basic abc'],
      ['cookie', 'a=1'],
      ['set-cookie', 'a=1; Secure'],
    ] as const) {
      for (let i = 0; i < 2; i++) assert.ok(isNeverIndexed(firstOctet(encoder, name, value)), name);
    }
    assert.equal(encoder.tableBytes, 0);
    assert.ok(isAdded(firstOctet(encoder, 'cookie', `session=${'x'.repeat(40)}`)));
  });

  test('secrets stay out of the table in any casing', () => {
    const encoder = newEncoder({ keepsCase: true });
    for (let i = 0; i < 2; i++) assert.ok(isNeverIndexed(firstOctet(encoder, 'Authorization', 'Bearer abc')));
    assert.equal(encoder.tableBytes, 0);
  });

  test('values that change each time leave the table alone', () => {
    const encoder = newEncoder();
    for (const name of ['age', 'if-none-match', 'range']) {
      assert.ok(isWithoutIndexing(firstOctet(encoder, name, '1234567')), name);
    }
    assert.ok(isWithoutIndexing(firstOctet(encoder, ':path', '/search?q=1')));
    assert.equal(encoder.tableBytes, 0);
    assert.ok(isAdded(firstOctet(encoder, ':path', '/search')));
  });

  test('a name that no table has is added once, and then referred to', () => {
    const encoder = newEncoder();
    assert.ok(isAdded(firstOctet(encoder, 'traceparent', '00-1')));
    const bytes = encoder.tableBytes;
    for (let i = 2; i < 20; i++) {
      const block = encodeAll(encoder, [['traceparent', `00-${i}`]]);
      assert.ok(isWithoutIndexing(block[0] ?? -1));
      assert.ok(!block.includes('trace'));
    }
    assert.equal(encoder.tableBytes, bytes);
  });

  test('a name whose values were never asked for again adds no more, until one comes twice', () => {
    const encoder = newEncoder();
    for (let i = 0; i < 4; i++) assert.ok(isAdded(firstOctet(encoder, 'x-ever-new', `value ${i}`)));
    for (let i = 4; i < 20; i++) assert.ok(isWithoutIndexing(firstOctet(encoder, 'x-ever-new', `value ${i}`)));
    assert.ok(isAdded(firstOctet(encoder, 'x-ever-new', 'value 19')));
    assert.ok(isIndexed(firstOctet(encoder, 'x-ever-new', 'value 19')));
    assert.ok(isAdded(firstOctet(encoder, 'x-ever-new', 'another')));
  });

  test('fields larger than the table do not empty it', () => {
    const encoder = newEncoder();
    encodeAll(encoder, [['x-a', 'b']]);
    const bytes = encoder.tableBytes;
    encodeAll(encoder, [['x-large', 'v'.repeat(5_000)]]);
    assert.equal(encoder.tableBytes, bytes);
  });

  test('a smaller size of the peer is signalled at the next block, and the smallest one too', () => {
    const encoder = newEncoder();
    encodeAll(encoder, [['x-a', 'b']]);
    encoder.setPeerTableBytesMax(100);
    assert.deepEqual(encodeAll(encoder, [[':method', 'GET']]), hex('3f45 82'));
    encoder.setPeerTableBytesMax(0);
    encoder.setPeerTableBytesMax(4_096);
    assert.equal(encoder.tableBytes, 0);
    assert.deepEqual(encodeAll(encoder, [[':method', 'GET']]), hex('20 3fe11f 82'));
    assert.deepEqual(encodeAll(encoder, [[':method', 'GET']]), hex('82'));
  });

  test('never uses more than its own limit, whatever the peer allows', () => {
    const encoder = newEncoder({ tableBytesMax: 1_000 });
    encoder.setPeerTableBytesMax(1_000_000);
    const decoder = newDecoder();
    for (let i = 0; i < 100; i++) {
      decodeAll(decoder, encodeAll(encoder, [[`x-${i}`, 'value']]));
      assert.ok(encoder.tableBytes <= 1_000);
      assert.equal(decoder.tableBytes, encoder.tableBytes);
    }
  });

  test('a table of no size', () => {
    const encoder = newEncoder();
    encoder.setPeerTableBytesMax(0);
    const decoder = newDecoder();
    for (let i = 0; i < 3; i++) {
      const [field] = decodeAll(decoder, encodeAll(encoder, [['x-a', 'b']]));
      assert.equal(field?.value, 'b');
    }
    assert.equal(encoder.tableBytes, 0);
  });

  test('casing is kept where both sides agreed to, else lower', () => {
    const [kept] = decodeAll(newDecoder(true), encodeAll(newEncoder({ keepsCase: true }), [['X-Some-NAME', 'a']]));
    assert.equal(kept?.name, 'X-Some-NAME');
    const [lower] = decodeAll(newDecoder(), encodeAll(newEncoder(), [['X-Some-NAME', 'a']]));
    assert.equal(lower?.name, 'x-some-name');
  });

  test('two casings of a name are two names', () => {
    const encoder = newEncoder({ keepsCase: true });
    const decoder = newDecoder(true);
    for (let i = 0; i < 3; i++) {
      const fields: NameAndValue[] = [
        ['Date', `${i}`],
        ['date', `${i}`],
        ['DATE', `${i}`],
      ];
      const names = decodeAll(decoder, encodeAll(encoder, fields)).map(({ name }) => name);
      assert.deepEqual(names, ['Date', 'date', 'DATE']);
    }
  });

  test('an entry keeps no larger string alive that its name or value was cut from', () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage: () => void = runInNewContext('gc');
    const encoder = newEncoder({ keepsCase: true });
    const out = new ByteWriter();
    const parentBytes = 1_000_000;
    collectGarbage();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 40; i++) {
      const head = Buffer.alloc(parentBytes, `X-Long-Name-Of-${i}: the value of ${i} is long\r\n`).toString('latin1');
      const [name = '', value = ''] = head.slice(0, head.indexOf('\r')).split(': ');
      out.clear();
      encoder.field(name, name.toLowerCase(), value, out);
    }
    collectGarbage();
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(encoder.tableBytes > 2_000);
    assert.ok(grown < 5 * parentBytes, `${grown} bytes`);
  });
});
