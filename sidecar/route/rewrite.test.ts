import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compileReplacement } from '@weft/policies/kit/linear-replace';
import { SeededPrng } from '@weft/policies/kit/prng';
import { noMutation } from '@weft/policies/model/route';
import fc from 'fast-check';
import { requestHead } from '../filters/testing.ts';
import { Headers } from '../http/headers.ts';
import { applyMutation } from './mutation.ts';
import { canonicalTarget, isAmbiguous, otherReadings } from './path.ts';
import { redirectLocation, replaceInTarget, rewriteTarget } from './rewrite.ts';
import { WeightedChoice } from './weight.ts';

describe('Gateway API, HTTPPathModifier', () => {
  const cases: readonly [string, string, string, string][] = [
    ['/foo/bar', '/foo', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo', '/xyz/', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz', '/xyz/bar'],
    ['/foo/bar', '/foo/', '/xyz/', '/xyz/bar'],
    ['/foo', '/foo', '/xyz', '/xyz'],
    ['/foo/', '/foo', '/xyz', '/xyz/'],
    ['/foo/bar', '/foo', '', '/bar'],
    ['/foo/', '/foo', '', '/'],
    ['/foo', '/foo', '', '/'],
    ['/foo/', '/foo', '/', '/'],
    ['/foo', '/foo', '/', '/'],
    ['/foo/bar?q=/foo', '/foo', '/xyz', '/xyz/bar?q=/foo'],
  ];
  for (const [path, prefix, value, expected] of cases) {
    test(`${path}, ${prefix} to "${value}": ${expected}`, () => {
      assert.equal(
        rewriteTarget(path, { kind: 'prefix', value }, { kind: 'pathSeparatedPrefix', value: prefix }),
        expected,
      );
    });
  }
  test('full path keeps the query; the root prefix is one as well', () => {
    assert.equal(rewriteTarget('/a?b', { kind: 'full', value: '/c' }, { kind: 'prefix', value: '/' }), '/c?b');
    assert.equal(rewriteTarget('/a?b', { kind: 'prefix', value: '/x' }, { kind: 'prefix', value: '/' }), '/x/a?b');
  });
});

describe('Gateway API, HTTPRequestRedirectFilter', () => {
  const none = {
    kind: 'redirect',
    status: 302,
    scheme: undefined,
    host: undefined,
    port: undefined,
    path: undefined,
  } as const;
  const match = { kind: 'pathSeparatedPrefix', value: '/a' } as const;
  const head = requestHead({ authority: 'shop.example:8080', path: '/a/b?c' });
  const at = (action: Partial<Parameters<typeof redirectLocation>[0]>, port: number) =>
    redirectLocation({ ...none, ...action }, match, head, port);
  test('port, scheme and path', () => {
    assert.equal(at({}, 8080), 'http://shop.example:8080/a/b?c');
    assert.equal(at({}, 80), 'http://shop.example/a/b?c');
    assert.equal(at({ scheme: 'https' }, 8080), 'https://shop.example/a/b?c');
    assert.equal(at({ scheme: 'https', port: 8443 }, 80), 'https://shop.example:8443/a/b?c');
    assert.equal(at({ scheme: 'https', port: 443 }, 80), 'https://shop.example/a/b?c');
    assert.equal(at({ port: 80 }, 8080), 'http://shop.example/a/b?c');
    assert.equal(at({ path: { kind: 'full', value: '/x' } }, 80), 'http://shop.example/x?c');
    assert.equal(at({ path: { kind: 'full', value: '/x?y' } }, 80), 'http://shop.example/x?y');
    assert.equal(at({ host: 'other', path: { kind: 'prefix', value: '/x' } }, 80), 'http://other/x/b?c');
  });
});

describe('paths', () => {
  test('canonical form decodes what is unreserved, in the path only (RFC 3986 section 6.2.2)', () => {
    assert.equal(canonicalTarget('/%61%2d%7Eb?%61'), '/a-~b?%61');
    assert.equal(canonicalTarget('/%2fx%c3%a9'), '/%2Fx%C3%A9');
    assert.equal(canonicalTarget('/a?b=../%zz%00'), '/a?b=../%zz%00');
  });
  test('dot segments are removed, as Envoy does (RFC 3986 section 6.2.2.3)', () => {
    const cases: readonly (readonly [string, string])[] = [
      ['/a/../b', '/b'],
      ['/../b', '/b'],
      ['/a/./b', '/a/b'],
      ['/a/..', '/'],
      ['/a/.', '/a/'],
      ['/a/b/..', '/a/'],
      ['/a/%2e%2e/b', '/b'],
      ['/.%2E/x', '/x'],
      ['/%2e', '/'],
      ['/..', '/'],
      ['/a//b', '/a//b'],
      ['/a//../b', '/a/b'],
      ['/a/..//b', '//b'],
      ['//../b', '/b'],
      ['/a/..;/b', '/b'],
      ['/a/..;x=1/b', '/b'],
      ['/a/%2e%2e;/b', '/b'],
      ['/a/.;', '/a/'],
      ['/a;b/../c', '/c'],
      ['/a/../?q=/../', '/?q=/../'],
      ['/...', '/...'],
      ['/a/.../b', '/a/.../b'],
      ['/.well-known/x', '/.well-known/x'],
      ['/a..b/..c/d..', '/a..b/..c/d..'],
      ['/%252e%252e/a', '/%252e%252e/a'],
    ];
    for (const [target, path] of cases) assert.equal(canonicalTarget(target), path, target);
  });
  test('what no path has is encoded; a backslash is the slash that servers take it for', () => {
    assert.equal(canonicalTarget('/a|b"<c>^`{d}'), '/a%7Cb%22%3Cc%3E%5E%60%7Bd%7D');
    assert.equal(canonicalTarget('/a\\b'), '/a/b');
    assert.equal(canonicalTarget('/a\\..\\b'), '/b');
    assert.equal(canonicalTarget("/a[b]!$&'()*+,;=:@~"), "/a[b]!$&'()*+,;=:@~");
  });
  test('no percent-encoding, and NUL, are refused', () => {
    for (const target of [
      '/100%',
      '/%',
      '/%4',
      '/%zz',
      '/%%32%65',
      '/%4%31',
      '/a%00b',
      '/a%?41',
      '/a%0',
      '/\u00e9',
      '/\0',
    ]) {
      assert.equal(canonicalTarget(target), undefined, target);
    }
  });
  test('other forms of targets stay', () => {
    for (const target of ['*', '']) assert.equal(canonicalTarget(target), target);
  });
  test('once canonical, always canonical, and without a second reading', () => {
    const part = fc.constantFrom(
      '/',
      '.',
      '..',
      '%',
      '2e',
      '%2e',
      '%2F',
      '%25',
      ';',
      '\\',
      '?',
      'a',
      '5c',
      '|',
      '%00',
      '%C3',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        const once = canonicalTarget(`/${parts.join('')}`);
        if (once === undefined) return;
        assert.equal(canonicalTarget(once), once);
        assert.equal(once.charCodeAt(0), 0x2f);
        const path = once.split('?')[0] ?? '';
        assert.doesNotMatch(path, /(?:^|\/)\.{1,2}(?:[/;]|$)|\\|%00|%(?![0-9A-F]{2})/);
      }),
    );
  });
  test('what can be read in more than one way', () => {
    for (const path of [
      '/a/../b',
      '/..',
      '/.',
      '/a/./b',
      '/a%2Fb',
      '/a%5Cb',
      '/a\\b',
      '/a%00',
      '/a#b',
      '/a%zz',
      '/a/..;x/b',
      '/%2561',
      '/a%C0%AFb',
      '/%E0%80%AE',
      '/%F0%80%80%AF',
      '/%FF',
    ]) {
      assert.equal(isAmbiguous(path), true, path);
    }
    for (const path of [
      '/',
      '/a/b',
      '/a..b',
      '/.well-known/x',
      '/a/...',
      '/%C3%A9',
      '/%E2%82%AC',
      '/%F0%9F%8D%B5',
      '/%E9',
      '/100%25',
      '/a;b=c',
    ]) {
      assert.equal(isAmbiguous(path), false, path);
    }
  });
  test('other readings: without parameters, with single slashes, without the last slash', () => {
    assert.deepEqual(otherReadings('/a/b?c;d//', true), []);
    assert.deepEqual(otherReadings('/a//b;c/?d', false), ['/a//b/', '/a/b;c/', '/a/b/']);
    assert.deepEqual(otherReadings('/a/', true), ['/a']);
    assert.deepEqual(otherReadings('/a/', false), []);
    assert.deepEqual(otherReadings('/', true), []);
    assert.deepEqual(otherReadings('//', true), ['/']);
  });
});

describe('weights', () => {
  const cluster = (name: string, weight: number) => ({
    name,
    weight,
    requestHeaders: noMutation,
    responseHeaders: noMutation,
  });
  test('are kept to, and 0 is never picked', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 6 }),
        fc.integer(),
        (weights, seed) => {
          const prng = new SeededPrng(seed);
          const choice = new WeightedChoice(weights.map((weight, index) => cluster(String(index), weight)));
          const total = weights.reduce((sum, weight) => sum + weight, 0);
          const counts = weights.map(() => 0);
          const rounds = 4_000;
          for (let i = 0; i < rounds; i++) {
            const picked = choice.pick(prng);
            if (total === 0) assert.equal(picked, undefined);
            else counts[Number(picked?.name)] = (counts[Number(picked?.name)] ?? 0) + 1;
          }
          weights.forEach((weight, index) => {
            if (weight === 0) assert.equal(counts[index], 0);
            else assert.ok(Math.abs((counts[index] ?? 0) / rounds - weight / total) < 0.06);
          });
        },
      ),
      { numRuns: 30 },
    );
  });
});

test('header mutation: set replaces all of a name, add keeps, remove goes first', () => {
  const name = fc.constantFrom('A', 'a', 'B', 'C');
  const value = fc.string({ maxLength: 3 });
  const fields = fc.array(fc.record({ name, value }), { maxLength: 6 });
  fc.assert(
    fc.property(fields, fields, fields, fc.array(fc.constantFrom('a', 'b')), (before, set, add, remove) => {
      const headers = new Headers();
      for (const field of before) headers.append(field.name, field.value);
      applyMutation(headers, { set, add, remove });
      for (const lower of ['a', 'b', 'c']) {
        const of = (list: readonly { name: string; value: string }[]) =>
          list.filter((field) => field.name.toLowerCase() === lower).map((field) => field.value);
        const lastSet = of(set).at(-1);
        const kept = remove.some((name) => name === lower) ? [] : of(before);
        const expected = [...(lastSet === undefined ? kept : [lastSet]), ...of(add)];
        assert.deepEqual(headers.getAll(lower), expected);
      }
    }),
  );
});

test('a path that is searched goes on being one, with its query', () => {
  const made = compileReplacement('^/[a-z]+', '\\0x');
  assert.ok(made.ok);
  assert.equal(replaceInTarget('/a/b?/c', made.value), '/ax/b?/c');
  const emptied = compileReplacement('/a', '');
  assert.ok(emptied.ok);
  assert.equal(replaceInTarget('/a?b', emptied.value), '/?b');
  assert.equal(replaceInTarget('/ab', emptied.value), '/b');
});
