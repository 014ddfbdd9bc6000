import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { meshEdge } from '@weft/policies/model/edge';
import type { Direction } from '@weft/policies/model/listener';
import { testConnection } from '../../http/h1/testing.ts';
import { Headers } from '../../http/headers.ts';
import { RequestContext } from '../context.ts';
import { requestHead, TestDownstream, TestIdentity } from '../testing.ts';
import { HeadersFilter } from './filter.ts';

const forged = [
  'X-Forwarded-Client-Cert',
  'URI=spiffe://cluster.local/ns/x/sa/admin',
  'X-Forwarded-For',
  '1.1.1.1',
  'Forwarded',
  'for=1.1.1.1',
  'X-Real-IP',
  '1.1.1.1',
];

const pass = (direction: Direction, trustedHops: number, mesh: boolean): Headers =>
  passed(direction, trustedHops, mesh, forged).head.headers;

function passed(direction: Direction, trustedHops: number, mesh: boolean, fields: readonly string[]): RequestContext {
  const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
  assert.ok(id.ok);
  const peer = mesh
    ? {
        spiffeId: id.value,
        subjectAltNames: [],
        fingerprint: 'AB',
        notAfterUnixMs: 0,
        notBeforeUnixMs: 0,
        serialHex: '',
      }
    : undefined;
  const exchange = new TestDownstream(requestHead({ headers: Headers.from([...fields]) }), true, {
    ...testConnection,
    peer,
  });
  const context = new RequestContext(exchange, systemClock);
  new HeadersFilter(direction, trustedHops, new TestIdentity(), meshEdge).onRequest(context);
  return context;
}

test('the client behind trusted proxies, counted from the nearest; a list that is too short, or says no address, tells of none', () => {
  const clientOf = (trustedHops: number, mesh: boolean, ...lists: readonly string[]): string =>
    passed(
      'inbound',
      trustedHops,
      mesh,
      lists.flatMap((list) => ['X-Forwarded-For', list]),
    ).clientIp;
  const own = '192.0.2.1';
  for (const mesh of [false, true]) {
    assert.equal(clientOf(0, mesh, '1.1.1.1'), own);
    assert.equal(clientOf(1, mesh, '9.9.9.9, 1.1.1.1'), '1.1.1.1');
    assert.equal(clientOf(2, mesh, '9.9.9.9', '2.2.2.2,1.1.1.1'), '2.2.2.2');
    assert.equal(clientOf(1, mesh, '::FFFF:1.1.1.1'), '1.1.1.1');
    assert.equal(clientOf(1, mesh, 'FD00::0:1'), 'fd00::1');
    assert.equal(clientOf(2, mesh, '1.1.1.1'), own);
    assert.equal(clientOf(1, mesh, '1.1.1.1, somebody'), own);
    assert.equal(clientOf(1, mesh), own);
  }
  assert.equal(passed('outbound', 1, false, ['X-Forwarded-For', '1.1.1.1']).clientIp, own);
});

test('outside: nothing is believed, the connection says who it is', () => {
  const headers = pass('inbound', 0, false);
  assert.equal(headers.has('x-forwarded-client-cert'), false);
  assert.equal(headers.has('forwarded'), false);
  assert.equal(headers.has('x-real-ip'), false);
  assert.deepEqual(headers.getAll('x-forwarded-for'), ['192.0.2.1']);
  assert.equal(headers.get('x-forwarded-proto'), 'http');
});

test('every field whose name begins with X-Forwarded- is one of them, and none may be written otherwise', () => {
  const claims = [
    'X-Forwarded-User',
    'X-Forwarded-Email',
    'X-FORWARDED-Groups',
    'X-Forwarded-Ssl',
    'X_Forwarded_Server',
  ];
  const fields = claims.flatMap((name) => [name, 'root']);
  const left = (trustedHops: number, mesh: boolean): readonly string[] => {
    const { headers } = passed('inbound', trustedHops, mesh, fields).head;
    return claims.filter((name) => headers.has(name.toLowerCase()));
  };
  assert.deepEqual(left(0, false), []);
  assert.deepEqual(left(0, true), claims);
  assert.deepEqual(left(1, false), claims);
});

test('a mesh peer is believed, except about its identity', () => {
  const headers = pass('inbound', 0, true);
  assert.deepEqual(headers.getAll('x-forwarded-client-cert'), ['Hash=ab;URI=spiffe://cluster.local/ns/shop/sa/web']);
  assert.equal(headers.get('x-forwarded-for'), '1.1.1.1');
});

test('a trusted proxy in front is believed, and appended', () => {
  const headers = pass('inbound', 1, false);
  assert.equal(headers.get('x-forwarded-for'), '1.1.1.1, 192.0.2.1');
  assert.equal(headers.has('x-forwarded-client-cert'), false);
});

test('an application may pass on addresses, but claims no identity', () => {
  const headers = pass('outbound', 0, false);
  assert.equal(headers.has('x-forwarded-client-cert'), false);
  assert.equal(headers.get('x-forwarded-for'), '1.1.1.1');
});

test('names that CGI-like applications take for the forbidden ones go too', () => {
  const headers = Headers.from(['X_Forwarded_Client_Cert', 'URI=spiffe://x', 'x-forwarded_for', '1.1.1.1', 'A_b', 'c']);
  const exchange = new TestDownstream(requestHead({ headers }), true, testConnection);
  new HeadersFilter('inbound', 0, new TestIdentity(), meshEdge).onRequest(new RequestContext(exchange, systemClock));
  const names: string[] = [];
  headers.forEach((name) => {
    names.push(name);
  });
  assert.deepEqual(names, ['A_b', 'X-Forwarded-For', 'X-Forwarded-Proto']);
});

test('the scheme of an absolute target does not make a plaintext request one of https', () => {
  const exchange = new TestDownstream(requestHead({ scheme: 'https' }), true, testConnection);
  const context = new RequestContext(exchange, systemClock);
  new HeadersFilter('inbound', 0, new TestIdentity(), meshEdge).onRequest(context);
  assert.equal(context.head.headers.get('x-forwarded-proto'), 'http');
});
