import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Endpoint, EndpointSlice, Service } from '../../client/objects.ts';
import { planClusterIps, stickySlots, usable, virtualPorts } from './plan.ts';

const endpoint = (address: string, ready: boolean, serving: boolean, terminating: boolean): Endpoint => ({
  addresses: [address],
  conditions: { ready, serving, terminating },
});

const web: Service = {
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    clusterIPs: ['10.200.128.9', 'fd77:ef7:0:1::9'],
    ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }],
  },
};

const slice = (addressType: string, endpoints: readonly Endpoint[]): EndpointSlice => ({
  metadata: { name: `web-${addressType}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'web' } },
  addressType,
  endpoints,
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});

describe('cluster IPs', () => {
  test('only ready endpoints; terminating ones that still serve when no ready one is left', () => {
    const ready = endpoint('10.200.0.2', true, true, false);
    const ending = endpoint('10.200.0.3', false, true, true);
    const broken = endpoint('10.200.0.4', false, false, false);
    assert.deepEqual(usable([ready, ending, broken]), [ready]);
    assert.deepEqual(usable([ending, broken]), [ending]);
    assert.deepEqual(usable([broken]), []);
  });

  test('each family goes to its own endpoints', () => {
    const slices = [
      slice('IPv4', [endpoint('10.200.0.2', true, true, false)]),
      slice('IPv6', [endpoint('fd77:ef7::2', true, true, false)]),
    ];
    assert.deepEqual(
      virtualPorts([web], slices, 'node-1').map((port) => [port.vip, port.port, port.backends]),
      [
        ['10.200.128.9', 80, [{ address: '10.200.0.2', port: 8080 }]],
        ['fd77:ef7:0:1::9', 80, [{ address: 'fd77:ef7::2', port: 8080 }]],
      ],
    );
  });

  test('a Service without endpoints has no entry, and the order of input does not matter', () => {
    const other = { ...web, metadata: { name: 'other', namespace: 'shop' } };
    const slices = [slice('IPv4', [endpoint('10.200.0.2', true, true, false)])];
    const plan = planClusterIps([web, other], slices, ['10.200.128.0/17'], 'node-1');
    const map = plan.sets.find((set) => set.name === 'services4');
    assert.equal(map?.kind === 'vmap' ? map.entries.length : -1, 1);
    assert.deepEqual(planClusterIps([other, web], [...slices].reverse(), ['10.200.128.0/17'], 'node-1'), plan);
  });

  test('internalTrafficPolicy Local: endpoints of the node alone, also those that end', () => {
    const on = (address: string, nodeName: string, ready: boolean): Endpoint => ({
      ...endpoint(address, ready, true, !ready),
      nodeName,
    });
    const local = { ...web, spec: { ...web.spec, internalTrafficPolicy: 'Local' } };
    const slices = [slice('IPv4', [on('10.200.0.2', 'node-1', false), on('10.200.0.3', 'node-2', true)])];
    const backends = (service: Service): unknown => virtualPorts([service], slices, 'node-1')[0]?.backends;
    assert.deepEqual(backends(local), [{ address: '10.200.0.2', port: 8080 }]);
    assert.deepEqual(backends(web), [{ address: '10.200.0.3', port: 8080 }]);
  });

  test('sessionAffinity ClientIP: by source, in fair shares, of which a change moves only its own', () => {
    const sticky = { ...web, spec: { ...web.spec, sessionAffinity: 'ClientIP' } };
    const two = ['10.200.0.2', '10.200.0.3'].map((address) => endpoint(address, true, true, false));
    const kinds = (service: Service): unknown[] =>
      planClusterIps([service], [slice('IPv4', two)], [], 'node-1').chains.flatMap(({ rules }) =>
        rules.flatMap(({ statements }) => statements.flatMap((one) => (one.kind === 'dnat' ? [one.by] : []))),
      );
    assert.deepEqual(kinds(sticky), ['source']);
    assert.deepEqual(kinds(web), ['random']);

    const backends = Array.from({ length: 4 }, (_, i) => ({ address: `10.200.0.${i + 2}`, port: 8080 }));
    const [before, after] = [stickySlots(backends), stickySlots(backends.slice(1))];
    const shares = backends.map((backend) => before.filter((slot) => slot === backend).length / before.length);
    assert.ok(
      shares.every((share) => share > 0.12 && share < 0.4),
      shares.join(' '),
    );
    for (const [slot, backend] of before.entries()) if (backend !== backends[0]) assert.equal(after[slot], backend);
  });
});
