import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { leastRequest } from '@weft/policies/model/balancer';
import { type Cluster, defaultClusterLimits } from '@weft/policies/model/cluster';
import { DynamicHosts, hostNameOf, matchesPattern } from './dynamic-hosts.ts';

const cache = { name: 'c', hostsMax: 2, refreshMs: 1_000, idleMs: 1_000 };
const parent: Cluster = {
  name: 'wild',
  discovery: { kind: 'dynamic', cache, port: 8443, pattern: '*.example.com' },
  connectTimeoutMs: 1_000,
  idleTimeoutMs: 1_000,
  requestsPerConnectionMax: 0,
  balancer: leastRequest,
  protocol: 'downstream',
  limits: defaultClusterLimits,
  errorRate: undefined,
  outlier: undefined,
  healthyPanicPercent: 0,
  tls: {
    certificate: undefined,
    validation: { trust: { kind: 'inline', ca: { kind: 'pem', pem: '' } }, subjectAltNames: [] },
    alpn: [],
    sni: '',
    parameters: { versionMin: 'TLSv1.2', versionMax: 'TLSv1.3' },
  },
  sniFromHost: true,
  meshTls: false,
  service: undefined,
};

describe('the host of an authority', () => {
  const names: readonly (readonly [string, string | undefined])[] = [
    ['api.example.com', 'api.example.com'],
    ['API.Example.com:8080', 'api.example.com'],
    ['_srv.example.com', '_srv.example.com'],
    ['localhost', 'localhost'],
    ['', undefined],
    ['api.example.com.', undefined],
    ['.example.com', undefined],
    ['a..example.com', undefined],
    ['192.0.2.1', undefined],
    ['192.0.2.1:80', undefined],
    ['2130706433', undefined],
    ['0x7f000001', undefined],
    ['1.2.3.4.example.com', '1.2.3.4.example.com'],
    ['a.example.com.1', undefined],
    ['[::1]:80', undefined],
    ['[::ffff:10.0.0.1]', undefined],
    ['::1', undefined],
    ['user@api.example.com', undefined],
    ['api.example.com/x', undefined],
    ['api.example.com\u0000', undefined],
    ['bücher.example.com', undefined],
    [`${'a'.repeat(64)}.example.com`, undefined],
    [`${'a.'.repeat(130)}example.com`, undefined],
  ];
  for (const [authority, host] of names) {
    test(JSON.stringify(authority.slice(0, 30)), () => assert.equal(hostNameOf(authority), host));
  }
});

test('a wildcard stands for names below it alone', () => {
  assert.equal(matchesPattern('a.example.com', '*.example.com'), true);
  assert.equal(matchesPattern('a.b.example.com', '*.example.com'), true);
  assert.equal(matchesPattern('example.com', '*.example.com'), false);
  assert.equal(matchesPattern('evilexample.com', '*.example.com'), false);
  assert.equal(matchesPattern('a.example.com.evil.org', '*.example.com'), false);
});

describe('a cluster below a dynamic one', () => {
  test('is of the one host, by its own resolution, at the declared port, and verified by its name', () => {
    const made = new DynamicHosts().derive(parent, 'API.example.com:22');
    assert.deepEqual(made?.discovery, {
      kind: 'strict-dns',
      hosts: [{ host: 'api.example.com', port: 8443 }],
      refreshMs: 1_000,
    });
    assert.equal(made?.tls?.sni, 'api.example.com');
    assert.deepEqual(made?.tls?.validation?.subjectAltNames, [
      { type: 'dns', match: { kind: 'exact', value: 'api.example.com' } },
    ]);
  });

  test('is the same as long as its parent is', () => {
    const hosts = new DynamicHosts();
    const first = hosts.derive(parent, 'a.example.com');
    assert.equal(hosts.derive(parent, 'A.example.com:80'), first);
    assert.notEqual(hosts.derive({ ...parent }, 'a.example.com'), first);
  });

  test('is refused for what the pattern does not cover', () => {
    const hosts = new DynamicHosts();
    for (const authority of ['', 'example.com', 'a.example.org', '10.0.0.1', 'a.example.com.']) {
      assert.equal(hosts.derive(parent, authority), undefined, authority);
    }
  });
});

test('nothing stays of names that there was no room for', () => {
  const hosts = new DynamicHosts();
  const kept = hosts.derive(parent, 'kept.example.com');
  assert.ok(kept);
  hosts.remember(kept, parent.name, 'kept.example.com');
  for (let i = 0; i < 1_000; i++) {
    const cluster = hosts.derive(parent, `n${i}.example.com`);
    assert.ok(cluster);
    hosts.forget(parent, cluster.name);
  }
  assert.equal(hosts.madeFor(parent), 1);
  assert.equal(hosts.derive(parent, 'kept.example.com'), kept);
  hosts.forget(parent, kept.name);
  assert.deepEqual([hosts.madeFor(parent), hosts.size], [0, 0]);
});
