import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { type HttpEdge, meshEdge } from '@weft/policies/model/edge';
import { testConnection } from '../../http/h1/testing.ts';
import { Headers } from '../../http/headers.ts';
import { RequestContext } from '../context.ts';
import { reply } from '../reply.ts';
import { plainFormats, requestHead, TestDownstream, TestIdentity } from '../testing.ts';
import { HeadersFilter } from './filter.ts';

const id = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
assert.ok(id.ok);
const peer = {
  spiffeId: id.value,
  subjectAltNames: [id.value, 'web.shop', 'a,URI=spiffe://forged'],
  fingerprint: 'AB',
  notAfterUnixMs: 0,
  notBeforeUnixMs: 0,
  serialHex: '',
};

function pass(edge: Partial<HttpEdge>, headers: string[], options: { mtls?: boolean; authority?: string } = {}) {
  const head = requestHead({ headers: Headers.from(headers), authority: options.authority ?? 'shop' });
  const connection = { ...testConnection, peer: options.mtls === true ? peer : undefined };
  const context = new RequestContext(new TestDownstream(head, true, connection), systemClock);
  const filter = new HeadersFilter('outbound', 0, new TestIdentity(), { ...meshEdge, ...edge });
  return { context, filter, error: filter.onRequest(context), headers: context.head.headers };
}

const cert = ['X-Forwarded-Client-Cert', 'Hash=00'];

describe('X-Forwarded-Client-Cert', () => {
  const modes: [HttpEdge['clientCert']['mode'], string | undefined, string | undefined][] = [
    ['sanitize', undefined, undefined],
    ['forward-only', 'Hash=00', undefined],
    ['append-forward', `Hash=00,Hash=ab;URI=${peer.spiffeId}`, undefined],
    ['sanitize-set', `Hash=ab;URI=${peer.spiffeId}`, undefined],
    ['always-forward-only', 'Hash=00', 'Hash=00'],
  ];
  for (const [mode, withPeer, without] of modes) {
    test(mode, () => {
      const clientCert = { mode, uri: true, dns: false };
      const told = (mtls: boolean) => pass({ clientCert }, cert, { mtls }).headers.get('x-forwarded-client-cert');
      assert.equal(told(true)?.split(';URI="', 1)[0], withPeer);
      assert.equal(told(false), without);
    });
  }

  test('a name that looks like another element is quoted', () => {
    const { headers } = pass({ clientCert: { mode: 'sanitize-set', uri: true, dns: true } }, [], { mtls: true });
    assert.equal(
      headers.get('x-forwarded-client-cert'),
      `Hash=ab;URI=${peer.spiffeId};DNS=web.shop;URI="a,URI=spiffe://forged"`,
    );
  });
});

describe('clients from outside', () => {
  const outside = { useRemoteAddress: true };
  const claims = ['X-Forwarded-For', '1.1.1.1', 'X-Request-Id', 'mine'];

  test('their address is told, their claims are not, their id only if asked for', () => {
    const { headers } = pass({ ...outside, requestId: { ...meshEdge.requestId, preserveExternal: false } }, claims);
    assert.deepEqual(headers.getAll('x-forwarded-for'), [testConnection.remoteIp]);
    assert.equal(headers.has('x-request-id'), false);
    assert.equal(pass(outside, claims).headers.get('x-request-id'), 'mine');
  });

  test('no address is appended where that is switched off', () => {
    const { headers } = pass({ ...outside, appendForwardedFor: false }, claims);
    assert.equal(headers.has('x-forwarded-for'), false);
  });
});

describe('responses', () => {
  const answered = (edge: Partial<HttpEdge>, fields: string[]) => {
    const { context, filter } = pass(edge, []);
    context.requestId = 'id';
    const headers = Headers.from(fields);
    filter.onResponse(context, { status: 200, reason: '', headers, contentLength: 0 });
    return headers;
  };

  test('Server', () => {
    const overwrite = answered({ serverHeader: { mode: 'overwrite', name: 'x' } }, ['Server', 'app']);
    assert.equal(overwrite.get('server'), 'x');
    const append = { serverHeader: { mode: 'append-if-absent', name: 'x' } } as const;
    assert.equal(answered(append, ['Server', 'app']).get('server'), 'app');
    assert.equal(answered(append, []).get('server'), 'x');
    assert.equal(answered({}, ['Server', 'app']).get('server'), 'app');
  });

  test('Via in both directions, and the id', () => {
    assert.equal(answered({ via: '1.1 weft' }, ['Via', '1.0 a']).get('via'), '1.0 a, 1.1 weft');
    assert.equal(pass({ via: '1.1 weft' }, []).headers.get('via'), '1.1 weft');
    const requestId = { ...meshEdge.requestId, inResponse: true };
    assert.equal(answered({ requestId }, []).get('x-request-id'), 'id');
  });

  test('our own have them too', () => {
    const head = requestHead({});
    const downstream = new TestDownstream(head, true, testConnection);
    const context = new RequestContext(downstream, systemClock);
    new HeadersFilter('outbound', 0, new TestIdentity(), {
      ...meshEdge,
      serverHeader: { mode: 'overwrite', name: 'x' },
    }).onRequest(context);
    reply({ headerFormats: plainFormats, localReplies: undefined }, context, 404, 'no');
    assert.equal(context.responseHeaders?.get('server'), 'x');
  });
});

describe('what is looked at before routing', () => {
  test('ports of authorities', () => {
    const stripped = (hostPort: HttpEdge['hostPort'], authority: string) =>
      pass({ hostPort }, [], { authority }).context.head.authority;
    const own = `shop:${testConnection.destinationPort}`;
    assert.equal(stripped('strip-any', 'shop:81'), 'shop');
    assert.equal(stripped('strip-any', '[::1]:81'), '[::1]');
    assert.equal(stripped('strip-any', '[::1]'), '[::1]');
    assert.equal(stripped('strip-matching', own), 'shop');
    assert.equal(stripped('strip-matching', 'shop:1'), 'shop:1');
    assert.equal(stripped('keep', own), own);
  });

  test('names with underscores', () => {
    const fields = ['a_b', '1', 'c', '2'];
    assert.equal(pass({ underscores: 'reject' }, fields).error?.status, 400);
    assert.equal(pass({ underscores: 'reject' }, ['c', '2']).error, undefined);
    assert.equal(pass({ underscores: 'drop' }, fields).headers.has('a_b'), false);
    assert.equal(pass({}, fields).headers.has('a_b'), true);
  });

  test('upgrades', () => {
    const upgraded = (upgrades: HttpEdge['upgrades'], protocol: string | undefined) => {
      const head = { ...requestHead({}), protocol };
      const context = new RequestContext(new TestDownstream(head, true, testConnection), systemClock);
      return new HeadersFilter('outbound', 0, new TestIdentity(), { ...meshEdge, upgrades }).onRequest(context)?.status;
    };
    assert.equal(upgraded(['websocket'], 'websocket'), undefined);
    assert.equal(upgraded(['websocket'], 'other'), 403);
    assert.equal(upgraded(['websocket'], undefined), undefined);
    assert.equal(upgraded(undefined, 'other'), undefined);
  });
});
