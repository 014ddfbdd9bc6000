import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { TcpProxy } from '@weft/policies/model/listener';
import { byServerName, clustersFor, type OutboundPlan } from './outbound.ts';

const to = (name: string) => [{ name, weight: 1 }];

describe('TLS routes by server name', () => {
  const routes = [
    { serverNames: ['*.example', 'a.shop.example'], clusters: to('oldest') },
    { serverNames: ['*.shop.example', 'a.shop.example'], clusters: to('shop') },
    { serverNames: ['b.shop.example'], clusters: to('b') },
  ];
  const found = (name: string) => byServerName(routes, name)?.[0]?.name;

  const cases: readonly (readonly [name: string, cluster: string | undefined])[] = [
    ['a.shop.example', 'oldest'],
    ['b.shop.example', 'b'],
    ['B.SHOP.example', 'b'],
    ['c.shop.example', 'shop'],
    ['d.c.shop.example', 'shop'],
    ['shop.example', 'oldest'],
    ['example', undefined],
    ['xshop.example2', undefined],
    ['', undefined],
  ];
  for (const [name, cluster] of cases) {
    test(`"${name}" goes to ${cluster ?? 'nobody'}`, () => assert.equal(found(name), cluster));
  }

  test('what is no TLS, or has another name, is refused with the reason', () => {
    const terminal: TcpProxy = {
      kind: 'tcp',
      statPrefix: 't',
      clusters: to('weft.dev/original-destination'),
      idleTimeoutMs: 0,
      accessLogs: [],
    };
    const plan: OutboundPlan = {
      protocol: 'tls',
      cluster: 'c',
      connections: { kind: 'server-names', routes },
      service: 'shop/db',
      outside: false,
    };
    assert.equal(clustersFor(terminal, plan, { kind: 'opaque' }), 'no TLSRoute of shop/db is for what is no TLS');
    const hello = { kind: 'tls', serverName: 'other.test', alpn: [] } as const;
    assert.equal(clustersFor(terminal, plan, hello), 'no TLSRoute of shop/db is for the name "other.test"');
    assert.deepEqual(clustersFor({ ...terminal, clusters: to('own') }, plan, hello), to('own'));
  });
});
