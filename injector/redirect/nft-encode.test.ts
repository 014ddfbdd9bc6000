import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  attribute,
  type DecodedAttribute,
  decodeAttributes,
  decodeMessages,
  findAttribute,
  message,
  readText,
} from './attributes.ts';
import { encodeRuleset } from './nft-encode.ts';
import { encodeIp, FIELDS, parsePrefix } from './nft-fields.ts';
import { mergeRanges } from './nft-sets.ts';
import { DEFAULT_REDIRECTION, planRedirection } from './plan.ts';
import * as nft from './ruleset.ts';

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

describe('netlink attributes', () => {
  test('come back as they were written, aligned to four bytes', () => {
    const attributes = fc.array(
      fc.record({ type: fc.integer({ min: 0, max: 0x3fff }), nested: fc.boolean(), payload: bytes(40) }),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(attributes, (written) => {
        const encoded = written.map((each) => attribute(each.type, each.payload, each.nested));
        for (const each of encoded) assert.equal(each.length % 4, 0);
        const decoded = decodeAttributes(Buffer.concat(encoded));
        assert.deepEqual(
          decoded?.map((each) => ({ ...each, payload: Uint8Array.from(each.payload) })),
          written.map((each) => ({ ...each })),
        );
      }),
    );
  });

  test('arbitrary bytes are attributes that fit or undefined, never an exception', () => {
    fc.assert(
      fc.property(bytes(64), (input) => {
        const buffer = Buffer.from(input);
        for (const found of [decodeAttributes(buffer), decodeMessages(buffer)])
          for (const each of found ?? []) assert.ok(each.payload.length <= buffer.length);
      }),
    );
  });

  test('messages carry their own length', () => {
    fc.assert(
      fc.property(fc.array(bytes(9), { maxLength: 5 }), (payloads) => {
        const head = { type: 2560, flags: 5, family: 1, resourceId: 0 };
        const encoded = payloads.map((payload, sequence) => message({ ...head, sequence }, attribute(1, payload)));
        const decoded = decodeMessages(Buffer.concat(encoded));
        assert.deepEqual(
          decoded?.map((each) => each.sequence),
          payloads.map((_, sequence) => sequence),
        );
      }),
    );
  });

  test('an attribute that cannot be said is a bug', () => {
    assert.throws(() => attribute(1, Buffer.alloc(0xffff)), RangeError);
  });
});

describe('values', () => {
  test('addresses are as the system writes them', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const encoded = encodeIp(address);
        assert.equal(encoded?.length, 16);
        const groups = Array.from({ length: 8 }, (_, index) => encoded?.readUInt16BE(index * 2).toString(16)).join(':');
        assert.equal(new URL(`http://[${groups}]`).hostname, new URL(`http://[${address}]`).hostname);
      }),
    );
    assert.deepEqual([...(encodeIp('10.1.2.3') ?? [])], [10, 1, 2, 3]);
    for (const wrong of ['', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', '::g', '01.2.3.4'])
      assert.equal(encodeIp(wrong), undefined);
  });

  test('prefixes clear the bits of hosts', () => {
    assert.deepEqual(parsePrefix(FIELDS['ip daddr'], '10.200.3.4/12'), {
      address: Buffer.from([10, 192, 0, 0]),
      mask: Buffer.from([255, 240, 0, 0]),
    });
    for (const wrong of ['10.0.0.0/33', 'fd00::/8', '10.0.0.0/', '10.0.0.0/8/8', 'x/8'])
      assert.equal(parsePrefix(FIELDS['ip daddr'], wrong), undefined);
  });

  test('merged ranges hold the same values, apart from each other and in order', () => {
    const range = fc
      .tuple(fc.bigInt({ min: 0n, max: 60n }), fc.bigInt({ min: 0n, max: 10n }))
      .map(([low, length]) => ({ low, high: low + length }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
        const merged = mergeRanges(ranges);
        for (let value = 0n; value <= 71n; value++) {
          const holds = (each: { low: bigint; high: bigint }): boolean => each.low <= value && value <= each.high;
          assert.equal(merged.some(holds), ranges.some(holds));
        }
        merged.reduce(
          (before, each) => {
            assert.ok(each.low > before.high + 1n);
            return each;
          },
          { low: -9n, high: -9n },
        );
      }),
    );
  });
});

interface Seen {
  readonly type: number;
  readonly attributes: readonly DecodedAttribute[];
}

function decodeBatch(ruleset: nft.Ruleset): Seen[] {
  const batch = encodeRuleset(ruleset);
  assert.ok(batch.ok, JSON.stringify(batch));
  assert.equal(batch.value.bytes.length % 4, 0);
  return (decodeMessages(batch.value.bytes) ?? []).map((each) => ({
    type: each.type & 0xff,
    attributes: decodeAttributes(each.payload.subarray(4)) ?? [],
  }));
}

/** Names of the expressions of a NEWRULE message. */
function expressionNames(rule: Seen): string[] {
  const list = decodeAttributes(findAttribute(rule.attributes, 4) ?? Buffer.alloc(0)) ?? [];
  return list.map((each) => readText(findAttribute(decodeAttributes(each.payload) ?? [], 1) ?? Buffer.alloc(0)));
}

const NEW_RULE = 6;
const NEW_ELEMENT = 12;
const table = (...rules: readonly nft.Rule[]): nft.Ruleset => ({
  family: 'inet',
  table: 't',
  sets: [],
  chains: [{ name: 'c', rules }],
});

describe('rulesets', () => {
  test('a transaction begins, replaces the table and ends', () => {
    const types = decodeBatch(planRedirection(DEFAULT_REDIRECTION)).map((each) => each.type);
    assert.deepEqual(types.slice(0, 4), [0x10, 0, 2, 0]);
    assert.equal(types.at(-1), 0x11);
  });

  test('header fields bring their guards, each once', () => {
    const [rule] = decodeBatch(
      table(
        nft.rule(
          'r',
          nft.match('ip daddr', '10.0.0.1'),
          nft.match('tcp dport', 80),
          nft.match('tcp sport', 1),
          nft.accept,
        ),
      ),
    ).filter((each) => each.type === NEW_RULE);
    assert.ok(rule !== undefined);
    assert.deepEqual(expressionNames(rule), [
      ...['meta', 'cmp', 'payload', 'cmp'],
      ...['meta', 'cmp', 'payload', 'cmp'],
      ...['payload', 'cmp'],
      'immediate',
    ]);
  });

  test('large sets are split so that no attribute overflows', () => {
    const elements = Array.from(
      { length: 20_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
    );
    const sets: nft.NamedSet[] = [{ kind: 'set', name: 's', field: 'ip daddr', elements }];
    const parts = decodeBatch({ ...table(), sets }).filter((each) => each.type === NEW_ELEMENT);
    assert.ok(parts.length > 1);
    const counts = parts.map((part) => decodeAttributes(findAttribute(part.attributes, 3) ?? Buffer.alloc(0))?.length);
    assert.equal(
      counts.reduce<number>((sum, count) => sum + (count ?? 0), 0),
      elements.length,
    );
  });

  test('every problem is named with its place, all at once', () => {
    const result = encodeRuleset({
      family: 'ip',
      table: 'bad name',
      sets: [
        { kind: 'set', name: 's', field: 'ip daddr', elements: ['10.0.0.0/40'] },
        {
          kind: 'vmap',
          name: 's',
          fields: ['ip daddr', 'tcp dport'],
          entries: [
            { key: ['10.0.0.1', 80], verdict: { kind: 'accept' } },
            { key: ['10.0.0.1', 80], verdict: { kind: 'drop' } },
            { key: ['10.0.0.1'], verdict: { kind: 'drop' } },
          ],
        },
      ],
      chains: [
        {
          name: 'c',
          rules: [
            nft.rule('six', nft.match('ip6 daddr', '::1')),
            nft.rule('port', nft.redirectTo(70_000)),
            nft.rule('nat', nft.dnatTo({ address: '10.0.0.1', port: 80 })),
            nft.rule(
              'mixed',
              nft.match('meta l4proto', 'tcp'),
              nft.dnatTo({ address: '10.0.0.1', port: 80 }, { address: '::1', port: 80 }),
            ),
            nft.rule('nothing', nft.isIn('tcp dport', [])),
            nft.rule('x'.repeat(200), nft.accept),
          ],
        },
      ],
    });
    assert.ok(!result.ok);
    const text = result.error.problems.join('\n');
    for (const expected of [
      /name "bad name" is not one/,
      /set s is there twice/,
      /set s: value "10\.0\.0\.0\/40" is not valid/,
      /set s: key \["10\.0\.0\.1",80\] is there twice/,
      /set s: element \["10\.0\.0\.1"\]: part 2/,
      /rule "six" of chain c: a table of family ip cannot/,
      /rule "port" of chain c: port 70000/,
      /rule "nat" of chain c: dnat to a port needs a match on the transport protocol/,
      /rule "mixed" of chain c: endpoint ::1 port 80 is not an IPv4 address/,
      /rule "nothing" of chain c: tcp dport: an empty list/,
      /the name has more than 120 bytes/,
    ])
      assert.match(text, expected);
  });

  test('any redirection options give a ruleset that encodes', () => {
    const port = fc.integer({ min: 1, max: 65535 });
    const cidr = fc.oneof(
      fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`),
      fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([ip, length]) => `${ip}/${length}`),
    );
    const options = fc.record({
      excludeInboundPorts: fc.array(port, { maxLength: 4 }),
      excludeOutboundPorts: fc.array(port, { maxLength: 4 }),
      excludeOutboundCidrs: fc.array(cidr, { maxLength: 4 }),
      apiServers: fc.array(fc.record({ address: fc.oneof(fc.ipV4(), fc.ipV6()), port }), { maxLength: 4 }),
    });
    fc.assert(
      fc.property(options, (chosen) => {
        decodeBatch(planRedirection({ ...DEFAULT_REDIRECTION, ...chosen }));
      }),
    );
  });
});
