import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import fc from 'fast-check';
import { ParsedRequest } from './parse-request.ts';
import { ReadBuffer } from './read-buffer.ts';
import { RequestReader } from './request-reader.ts';

const LEFT_OVER = ['\n', '\r\n', '\r\n\r\n', '\n\r\n', ' HTTP/1.1\r\nHost: a\r\n\r\n'];
const heads = [
  'GET /1 HTTP/1.1\r\nHost: a\r\n\r\n',
  '\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /3 HTTP/1.1\nHost: a\r\n\r\n',
  'GET /4 HTTP/1.1\r\nHost : a\r\n\r\n',
  'GET no-target HTTP/1.1\r\nHost: a\r\n\r\n',
  'GET /5 HTTP/1.1\r\rHost: a\r\n\r\n',
  `GET /${'x'.repeat(300)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  `GET /6 HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(300)}\r\n\r\n`,
];

/**
 * What the reader says after each piece. `behind` is what the memory of the buffer held before it was taken for this
 * connection: nothing that may count.
 */
function verdicts(text: string, cuts: readonly number[], behind: string): string {
  const input = new ReadBuffer();
  const limits = { ...defaultHttpLimits, headBytesMax: 250 };
  const reader = new RequestReader(input, new ParsedRequest(), limits, { scheme: 'http', authority: 'a' });
  const said: string[] = [];
  let at = 0;
  for (const cut of [...new Set([...cuts, text.length])].sort((a, b) => a - b)) {
    if (cut > text.length || cut === at) continue;
    input.push(Buffer.from(text.slice(at, cut), 'latin1'));
    if (input.end < input.bytes.length) input.bytes.write(behind, input.end, 'latin1');
    at = cut;
    const found = reader.next();
    said.push(typeof found === 'object' ? `${found.status} ${found.kind}` : String(found));
    if (typeof found === 'object') break;
  }
  return said.join();
}

test('a head that is cut after a CR waits, whatever the memory behind it held before', () => {
  const input = new ReadBuffer();
  const reader = new RequestReader(input, new ParsedRequest(), defaultHttpLimits, { scheme: 'http', authority: 'a' });
  input.push(Buffer.from('GET /without-its-'));
  assert.equal(reader.next(), 'incomplete');
  input.push(Buffer.from('version\r'));
  input.bytes.write('\n', input.end, 'latin1');
  assert.equal(reader.next(), 'incomplete');
});

test('what the memory behind the bytes held before changes no verdict', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...heads),
      fc.array(fc.nat(320), { maxLength: 8 }),
      fc.constantFrom(...LEFT_OVER),
      (text, cuts, behind) => {
        assert.equal(verdicts(text, cuts, behind), verdicts(text, cuts, 'x'.repeat(40)));
      },
    ),
    { numRuns: 3_000 },
  );
});
