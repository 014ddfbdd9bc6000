import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseProxyHeader } from './proxy-protocol.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const v2 = (hex: string): Buffer => Buffer.from(SIGNATURE + hex.replaceAll(' ', ''), 'hex');
const v1 = (line: string): Buffer => Buffer.from(line, 'latin1');

/** Addresses in words; `local` for a header without, or why it is refused. */
function parsed(bytes: Buffer): string {
  const header = parseProxyHeader(bytes);
  if (header === 'more') return 'more';
  if (!header.ok) return `refused: ${header.error}`;
  const { addresses, bytes: length } = header.value;
  if (addresses === undefined) return `local, ${length} bytes`;
  const { source, destination } = addresses;
  return `${source.ip} ${source.port} to ${destination.ip} ${destination.port}, ${length} bytes`;
}

describe('PROXY protocol', () => {
  const good: readonly (readonly [string, Buffer, string])[] = [
    ['v1 TCP4', v1('PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET'), '192.0.2.1 4000 to 192.0.2.2 80, 40 bytes'],
    ['v1 TCP6', v1('PROXY TCP6 2001:DB8::1 2001:db8:0::2 1 65535\r\n'), '2001:db8::1 1 to 2001:db8::2 65535, 46 bytes'],
    ['v1 UNKNOWN', v1('PROXY UNKNOWN\r\n'), 'local, 15 bytes'],
    ['v1 UNKNOWN with more', v1('PROXY UNKNOWN ff:: x 1 2 3\r\n'), 'local, 28 bytes'],
    ['v2 LOCAL', v2('20 00 0000'), 'local, 16 bytes'],
    ['v2 LOCAL with what is skipped', v2('20 11 0003 aabbcc'), 'local, 19 bytes'],
    ['v2 TCP over IPv4', v2('21 11 000c c0000201 c0000202 0fa0 0050'), '192.0.2.1 4000 to 192.0.2.2 80, 28 bytes'],
    [
      'v2 with fields behind',
      v2('21 11 0010 c0000201 c0000202 0fa0 0050 04000100'),
      '192.0.2.1 4000 to 192.0.2.2 80, 32 bytes',
    ],
    [
      'v2 TCP over IPv6',
      v2(`21 21 0024 20010db8${'00'.repeat(11)}01 20010db8${'00'.repeat(11)}02 0001 0002`),
      '2001:db8::1 1 to 2001:db8::2 2, 52 bytes',
    ],
    ['v2 of a Unix socket', v2(`21 31 00d8${'00'.repeat(216)}`), 'local, 232 bytes'],
  ];
  for (const [name, bytes, wanted] of good) test(name, () => assert.equal(parsed(bytes), wanted));

  const bad: readonly (readonly [string, Buffer])[] = [
    ['no header', v1('GET / HTTP/1.1\r\n')],
    ['lower case', v1('proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['another family', v1('PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n')],
    ['IPv6 where IPv4 is said', v1('PROXY TCP4 ::1 ::1 1 2\r\n')],
    ['an address with a zone', v1('PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n')],
    ['a port too large', v1('PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n')],
    ['a port with a leading zero', v1('PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n')],
    ['two spaces', v1('PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n')],
    ['a word too many', v1('PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n')],
    ['a word too few', v1('PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n')],
    ['a line without an end', v1(`PROXY UNKNOWN ${'x'.repeat(100)}`)],
    ['a line that is too long', v1(`PROXY UNKNOWN ${'x'.repeat(100)}\r\n`)],
    ['a line ended by LF alone', v1(`PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n${'x'.repeat(90)}`)],
    ['version 1 in binary', v2('11 11 000c c0000201 c0000202 0fa0 0050')],
    ['an unknown command', v2('22 11 000c c0000201 c0000202 0fa0 0050')],
    ['addresses that do not fit', v2('21 11 000b c0000201 c0000202 0fa0 00')],
  ];
  for (const [name, bytes] of bad) test(`${name} is refused`, () => assert.match(parsed(bytes), /^refused: /));

  test('a beginning is never refused, and never taken for the whole', () => {
    for (const [name, bytes, wanted] of good) {
      const length = Number(/(\d+) bytes/.exec(wanted)?.[1]);
      for (let cut = 1; cut < length; cut++) assert.equal(parsed(bytes.subarray(0, cut)), 'more', `${name} ${cut}`);
    }
  });

  test('no bytes make it throw, or claim more than there are', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 60 }).map((rest) => Buffer.concat([v2(''), Buffer.from(rest)])),
      fc.string({ maxLength: 110 }).map((text) => v1(`PROXY ${text}\r\n`)),
      fc.tuple(fc.constantFrom(...good), fc.nat(60), fc.nat(255)).map(([[, one], at, value]) => {
        const copy = Buffer.from(one);
        copy[at % copy.length] = value;
        return copy;
      }),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const header = parseProxyHeader(input);
        if (header !== 'more' && header.ok) assert.ok(header.value.bytes <= input.length);
      }),
      { numRuns: 1_000 },
    );
  });
});
