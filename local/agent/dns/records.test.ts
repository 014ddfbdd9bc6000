import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EndpointSlice, Service } from '../../client/objects.ts';
import { RCODE, type Response, TYPE } from './message.ts';
import { resolve, serviceView, type Zone } from './records.ts';

const DOMAIN = 'cluster.local';

const service = (name: string, spec: Service['spec']): Service => ({ metadata: { name, namespace: 'shop' }, spec });

const slice = (addressType: string, endpoints: EndpointSlice['endpoints']): EndpointSlice => ({
  metadata: { name: 's', namespace: 'shop' },
  addressType,
  endpoints: endpoints ?? [],
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});

const views = [
  serviceView(
    service('web', {
      clusterIP: '10.200.128.7',
      clusterIPs: ['10.200.128.7', 'fd77:ef7:0:1::7'],
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    }),
    [],
  ),
  serviceView(service('db', { clusterIP: 'None', clusterIPs: ['None'], ports: [{ name: 'http', port: 80 }] }), [
    slice('IPv4', [
      { addresses: ['10.200.0.5'], hostname: 'db-0', conditions: { ready: true } },
      { addresses: ['10.200.0.6'], conditions: { ready: true } },
      { addresses: ['10.200.0.9'], conditions: { ready: false } },
    ]),
    slice('IPv6', [{ addresses: ['fd77:ef7::5'], hostname: 'db-0', conditions: { ready: true } }]),
  ]),
  serviceView(service('away', { type: 'ExternalName', externalName: 'example.com.' }), []),
];

const zone: Zone = {
  service: (namespace, name) => views.find((view) => view.namespace === namespace && view.name === name),
  hasNamespace: (namespace) => namespace === 'shop',
  reverse: (name) => (name === '7.128.200.10.in-addr.arpa' ? 'web.shop.svc.cluster.local' : undefined),
  reverseZones: ['200.10.in-addr.arpa'],
};

function ask(name: string, type: number): Response {
  const answer = resolve(zone, DOMAIN, { name, type, class: 1 });
  assert.equal(answer.kind, 'answer', name);
  return answer.kind === 'answer' ? answer.response : assert.fail();
}

const text = (response: Response): string[] =>
  response.answers.map((record) => {
    switch (record.data.type) {
      case TYPE.A:
        return [...record.data.address].join('.');
      case TYPE.AAAA:
        return record.data.address.toString('hex');
      case TYPE.SRV:
        return `${record.data.port} ${record.data.target}`;
      case TYPE.SOA:
        return 'soa';
      default:
        return record.data.target;
    }
  });

describe('cluster names', () => {
  test('a Service has its cluster IPs by family', () => {
    assert.deepEqual(text(ask('web.shop.svc.cluster.local', TYPE.A)), ['10.200.128.7']);
    assert.deepEqual(text(ask('web.shop.svc.cluster.local', TYPE.AAAA)), ['fd770ef7000000010000000000000007']);
    assert.equal(ask('web.shop.svc.cluster.local', TYPE.A).answers[0]?.ttlSeconds, 5);
  });

  test('a name that exists without the type is NODATA, one that does not exist is NXDOMAIN; both carry the SOA', () => {
    const nodata = ask('web.shop.svc.cluster.local', 16);
    assert.deepEqual([nodata.rcode, nodata.answers.length, nodata.authority.length], [RCODE.noError, 0, 1]);
    for (const name of [
      'nope.shop.svc.cluster.local',
      'web.nope.svc.cluster.local',
      'example.com.shop.svc.cluster.local',
      'x.cluster.local',
    ]) {
      const missing = ask(name, TYPE.A);
      assert.deepEqual([missing.rcode, missing.authority.length], [RCODE.nxDomain, 1], name);
    }
    for (const name of [
      'svc.cluster.local',
      'shop.svc.cluster.local',
      'cluster.local',
      '_tcp.web.shop.svc.cluster.local',
    ]) {
      assert.equal(ask(name, TYPE.A).rcode, RCODE.noError, name);
    }
  });

  test('a headless Service has its ready endpoints, each with a name of its own', () => {
    assert.deepEqual(text(ask('db.shop.svc.cluster.local', TYPE.A)), ['10.200.0.5', '10.200.0.6']);
    assert.deepEqual(text(ask('db-0.db.shop.svc.cluster.local', TYPE.A)), ['10.200.0.5']);
    assert.deepEqual(text(ask('db-0.db.shop.svc.cluster.local', TYPE.AAAA)), ['fd770ef7000000000000000000000005']);
    assert.deepEqual(text(ask('10-200-0-6.db.shop.svc.cluster.local', TYPE.A)), ['10.200.0.6']);
    assert.equal(ask('10-200-0-9.db.shop.svc.cluster.local', TYPE.A).rcode, RCODE.nxDomain);
  });

  test('SRV names ports, with target addresses beside', () => {
    assert.deepEqual(text(ask('_http._tcp.web.shop.svc.cluster.local', TYPE.SRV)), ['80 web.shop.svc.cluster.local']);
    const headless = ask('_http._tcp.db.shop.svc.cluster.local', TYPE.SRV);
    assert.deepEqual(text(headless), [
      '8080 db-0.db.shop.svc.cluster.local',
      '8080 10-200-0-6.db.shop.svc.cluster.local',
    ]);
    assert.equal(headless.additional.length, 3);
    assert.equal(ask('_nope._tcp.web.shop.svc.cluster.local', TYPE.SRV).rcode, RCODE.nxDomain);
  });

  test('ExternalName is a CNAME, pods are named by address, PTR leads back', () => {
    assert.deepEqual(text(ask('away.shop.svc.cluster.local', TYPE.A)), ['example.com']);
    assert.deepEqual(text(ask('10-200-0-5.shop.pod.cluster.local', TYPE.A)), ['10.200.0.5']);
    assert.deepEqual(text(ask('7.128.200.10.in-addr.arpa', TYPE.PTR)), ['web.shop.svc.cluster.local']);
    assert.equal(ask('9.128.200.10.in-addr.arpa', TYPE.PTR).rcode, RCODE.nxDomain);
  });

  test('other names and other reverse zones go upstream', () => {
    for (const name of ['example.com', 'local', '1.1.1.1.in-addr.arpa', 'notcluster.local']) {
      assert.equal(resolve(zone, DOMAIN, { name, type: TYPE.A, class: 1 }).kind, 'outside', name);
    }
  });
});
