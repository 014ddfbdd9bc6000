import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { filterFault } from './filter-faults.ts';

const change = (change: object) => ({
  filters: [{ type: 'RequestHeaderModifier' as const, requestHeaderModifier: change }],
});

describe('header changes that a sidecar would refuse with all routes of the Service', () => {
  const cases: readonly (readonly [what: string, change: object, fault: RegExp | undefined])[] = [
    [
      'the end of a line in a value',
      { set: [{ name: 'x', value: 'a\r\nb: c' }] },
      /^filters\[0\]\.requestHeaderModifier\.set\[0\]\.value: /,
    ],
    ['a character beyond octets', { add: [{ name: 'x', value: '€' }] }, /add\[0\]\.value: /],
    [
      'a header of the codec',
      { add: [{ name: 'Connection', value: 'x' }] },
      /add\[0\]\.name: Connection is written by the proxy itself; remove it/,
    ],
    ['Host', { set: [{ name: 'Host', value: 'x' }] }, /set\[0\]\.name: .*URLRewrite/],
    ['a removal of Host', { remove: ['x', 'hOst'] }, /remove\[1\]: hOst /],
    ['a removal of a pseudo-field', { remove: [':path'] }, /remove\[0\]: :path /],
    [
      'what is right',
      { set: [{ name: 'x', value: 'a\té' }], add: [{ name: 'x', value: '%' }], remove: ['y'] },
      undefined,
    ],
  ];
  for (const [what, changed, fault] of cases) {
    test(what, () => {
      const rule = change(changed);
      if (fault === undefined) assert.equal(filterFault(rule), undefined);
      else assert.match(filterFault(rule) ?? 'none', fault);
    });
  }

  test('a path that is not one', () => {
    const path = { type: 'ReplaceFullPath' as const, replaceFullPath: '/a b\r\n' };
    assert.match(
      filterFault({ filters: [{ type: 'URLRewrite', urlRewrite: { path } }] }) ?? '',
      /^filters\[0\]\.urlRewrite\.path\.replaceFullPath: .*percent-encode/,
    );
    const good = { type: 'ReplacePrefixMatch' as const, replacePrefixMatch: '/a%20b' };
    assert.equal(filterFault({ filters: [{ type: 'URLRewrite', urlRewrite: { path: good } }] }), undefined);
  });

  test('in a filter of a backend', () => {
    assert.match(
      filterFault({ backendRefs: [{}, change({ remove: ['te'] })] }) ?? '',
      /^backendRefs\[1\]\.filters\[0\]\./,
    );
  });
});
