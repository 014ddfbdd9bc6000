import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalIp, IpRange } from './addresses.ts';

describe('addresses', () => {
  test('canonical text (RFC 5952)', () => {
    const cases: readonly (readonly [string, string | undefined])[] = [
      ['10.0.0.1', '10.0.0.1'],
      ['::ffff:10.0.0.1', '10.0.0.1'],
      ['::FFFF:a00:1', '10.0.0.1'],
      ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
      ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
      ['0:0:0:0:0:0:0:1', '::1'],
      ['::', '::'],
      ['fe80::1%eth0', 'fe80::1'],
      ['1::', '1::'],
      ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
      ['localhost', undefined],
      ['[::1]', undefined],
    ];
    for (const [text, canonical] of cases) assert.equal(canonicalIp(text), canonical, text);
  });

  test('agrees with the runtime on any IPv6 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (text) => {
        const canonical = canonicalIp(text);
        assert.ok(canonical !== undefined);
        if (canonical.includes(':')) assert.equal(new URL(`http://[${text}]`).hostname, `[${canonical}]`);
        assert.equal(canonicalIp(canonical), canonical);
      }),
    );
  });

  test('ranges', () => {
    const range = new IpRange({ ip: '10.200.0.0', prefixBits: 15 });
    assert.deepEqual(
      ['10.201.3.4', '::ffff:10.200.0.1', '10.202.0.0', 'a::'].map((ip) => range.contains(ip)),
      [true, true, false, false],
    );
    const six = new IpRange({ ip: 'fd77:ef7::', prefixBits: 64 });
    assert.deepEqual(
      ['fd77:ef7::9', 'fd77:ef7:0:1::9', '10.0.0.1'].map((ip) => six.contains(ip)),
      [true, false, false],
    );
    assert.equal(new IpRange({ ip: '0.0.0.0', prefixBits: 0 }).contains('9.9.9.9'), true);
  });
});
