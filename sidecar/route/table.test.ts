import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { HeaderMatch, QueryParameterMatch } from '@weft/policies/model/match';
import type { RouteMatch } from '@weft/policies/model/route';
import { forwardTo, requestHead, testRoute } from '../filters/testing.ts';
import { Headers } from '../http/headers.ts';
import { RouteTable } from './table.ts';

const prng = new SeededPrng(1);

function matches(match: Partial<RouteMatch>, path: string, fields: readonly string[] = [], method = 'GET'): boolean {
  const route = { ...forwardTo('c'), match: { ...forwardTo('c').match, ...match } };
  const table = new RouteTable({ name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: [route] }] });
  return table.find(requestHead({ path, method, headers: Headers.from(fields) }), prng) !== undefined;
}

describe('Gateway API, HTTPPathMatch', () => {
  const cases: readonly [RouteMatch['path']['kind'], string, string, boolean][] = [
    ['exact', '/abc', '/abc', true],
    ['exact', '/abc', '/abc?x=1', true],
    ['exact', '/abc', '/abc/', false],
    ['exact', '/abc', '/ABC', false],
    ['prefix', '/', '/anything', true],
    ['prefix', '/abc', '/abcd', true],
    ['pathSeparatedPrefix', '/abc', '/abc', true],
    ['pathSeparatedPrefix', '/abc', '/abc/', true],
    ['pathSeparatedPrefix', '/abc', '/abc/def', true],
    ['pathSeparatedPrefix', '/abc', '/abcd', false],
    ['pathSeparatedPrefix', '/abc/', '/abc', true],
    ['pathSeparatedPrefix', '/abc/', '/abc/def', true],
    ['pathSeparatedPrefix', '/abc', '/abc?d=/e', true],
    ['pathSeparatedPrefix', '/abc', '/ab?/abc', false],
    ['regex', '/a[0-9]+', '/a12', true],
    ['regex', '/a[0-9]+', '/a12?q', true],
    ['regex', '/a[0-9]+', '/xa12', false],
    ['regex', '/a|/b', '/bc', false],
  ];
  for (const [kind, value, path, expected] of cases) {
    test(`${kind} ${value} ${expected ? 'takes' : 'does not take'} ${path}`, () => {
      assert.equal(matches({ path: { kind, value } }, path), expected);
    });
  }

  test('CONNECT has no path: only a route for tunnels takes it, and that takes nothing else', () => {
    const kinds = ['prefix', 'exact', 'pathSeparatedPrefix', 'regex'] as const;
    for (const kind of kinds)
      for (const value of ['', '.*']) assert.equal(matches({ path: { kind, value } }, ''), false);
    const path = { kind: 'connect', value: '' } as const;
    assert.equal(matches({ path }, '', [], 'CONNECT'), true);
    assert.equal(matches({ path }, '/', []), false);
  });

  test('without regard to case when asked', () => {
    assert.equal(matches({ path: { kind: 'exact', value: '/AbC' }, caseSensitive: false }, '/aBc'), true);
  });
});

describe('Gateway API, HTTPHeaderMatch', () => {
  const header = (name: string, value: HeaderMatch['value'], invert = false): Partial<RouteMatch> => ({
    headers: [{ name, value, invert }],
  });
  const exact = (value: string) => ({ kind: 'exact', value, ignoreCase: false }) as const;

  test('names without case, values with it', () => {
    assert.equal(matches(header('version', exact('two')), '/', ['Version', 'two']), true);
    assert.equal(matches(header('version', exact('two')), '/', ['Version', 'TWO']), false);
    assert.equal(matches(header('version', exact('two')), '/'), false);
    assert.equal(matches(header('a', { kind: 'regex', value: 'v\\d' }), '/', ['A', 'v1']), true);
    assert.equal(matches(header('a', { kind: 'present' }, true), '/', ['A', 'v1']), false);
    assert.equal(matches(header('a', { kind: 'present' }, true), '/'), true);
    assert.equal(matches(header('a', exact('x'), true), '/', ['A', 'y']), true);
    assert.equal(matches(header('a', exact('x'), true), '/'), false);
  });

  test('of a repeated field, one line has to match (as Envoy does)', () => {
    const twice = ['A', '1', 'a', '2'];
    assert.equal(matches(header('a', exact('1')), '/', twice), true);
    assert.equal(matches(header('a', exact('2')), '/', twice), true);
    assert.equal(matches(header('a', exact('1, 2')), '/', twice), false);
    assert.equal(matches(header('a', exact('1,2')), '/', twice), false);
    assert.equal(matches(header('a', exact('2'), true), '/', twice), false);
    assert.equal(matches(header('a', exact('3'), true), '/', twice), true);
    assert.equal(matches(header('a', { kind: 'present' }), '/', twice), true);
    assert.equal(matches(header('a', { kind: 'present' }, true), '/', twice), false);
  });

  test('Host is the authority, wherever it was said', () => {
    assert.equal(matches(header('host', exact('shop.example')), '/'), true);
    assert.equal(matches(header('host', exact('other.example')), '/'), false);
    assert.equal(matches(header('host', exact('other.example'), true), '/'), true);
    assert.equal(matches(header('host', { kind: 'present' }), '/'), true);
  });

  test('method', () => {
    assert.equal(matches(header(':method', exact('POST')), '/', [], 'POST'), true);
    assert.equal(matches(header(':method', exact('POST')), '/', [], 'post'), false);
  });
});

describe('Gateway API, HTTPQueryParamMatch', () => {
  const query = (name: string, value: string | undefined): Partial<RouteMatch> => {
    const match: QueryParameterMatch['value'] =
      value === undefined ? { kind: 'present' } : { kind: 'exact', value, ignoreCase: false };
    return { queryParameters: [{ name, value: match }] };
  };
  const cases: readonly [string, string | undefined, string, boolean][] = [
    ['animal', 'whale', '/?animal=whale', true],
    ['animal', 'whale', '/?x=1&animal=whale', true],
    ['animal', 'whale', '/?animal=dolphin&animal=whale', false],
    ['animal', 'whale', '/?ANIMAL=whale', false],
    ['animal', 'blue whale', '/?animal=blue%20whale', true],
    ['animal', 'blue whale', '/?animal=blue+whale', true],
    ['an&mal', 'a=b', '/?an%26mal=a%3Db', true],
    ['animal', '100%', '/?animal=100%', true],
    ['animal', undefined, '/?animal', true],
    ['animal', '', '/?animal=', true],
    ['animal', undefined, '/animal=1', false],
  ];
  for (const [name, value, path, expected] of cases) {
    test(`${name}=${value} ${expected ? 'takes' : 'does not take'} ${path}`, () => {
      assert.equal(matches(query(name, value), path), expected);
    });
  }
});

describe('virtual hosts', () => {
  const hosts = ['shop.example', '*.example', '*.deep.example', '*', 'ported.example:8443', '[::1]'];
  const table = new RouteTable({
    name: 'r',
    virtualHosts: hosts.map((domain) => ({
      name: domain,
      domains: [domain],
      routes: [{ ...forwardTo('c'), name: domain }],
    })),
  });
  const cases: readonly [string, string][] = [
    ['shop.example', 'shop.example'],
    ['SHOP.example:8080', 'shop.example'],
    ['a.example', '*.example'],
    ['a.b.example:1', '*.example'],
    ['a.deep.example', '*.deep.example'],
    ['example', '*'],
    ['.example', '*'],
    ['ported.example:8443', 'ported.example:8443'],
    ['ported.example', '*.example'],
    ['[::1]:80', '[::1]'],
    ['', '*'],
  ];
  for (const [authority, expected] of cases) {
    test(`${authority} belongs to ${expected}`, () => {
      assert.equal(table.find(requestHead({ authority }), prng)?.route.name, expected);
    });
  }
});

test('the first route that matches wins', () => {
  const other = testRoute({}, { path: { kind: 'regex', value: '/other/[0-9]+' } });
  const table = new RouteTable({
    name: 'r',
    virtualHosts: [{ name: 'v', domains: ['*'], routes: [other, { ...forwardTo('b'), name: 'b' }, forwardTo('c')] }],
  });
  assert.equal(table.find(requestHead(), prng)?.route.name, 'b');
  assert.equal(table.find(requestHead({ path: '/other/12?x' }), prng)?.route.name, other.name);
});

test('shares of routes that follow each other are cut by one number', () => {
  const all = [20, 70, 100].map((numerator) => ({
    ...forwardTo(String(numerator)),
    name: String(numerator),
    match: { ...forwardTo('c').match, share: { numerator, denominator: 100 as const } },
  }));
  const table = new RouteTable({ name: 'r', virtualHosts: [{ name: 'v', domains: ['*'], routes: all }] });
  const counts = new Map<string, number>();
  for (let i = 0; i < 10_000; i++) {
    const name = table.find(requestHead(), prng)?.route.name ?? 'none';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  for (const [name, share] of [
    ['20', 0.2],
    ['70', 0.5],
    ['100', 0.3],
  ] as const) {
    assert.ok(Math.abs((counts.get(name) ?? 0) / 10_000 - share) < 0.02, `${name}: ${counts.get(name)}`);
  }
  assert.equal(counts.get('none'), undefined);
});
