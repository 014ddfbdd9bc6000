import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Endpoint, EndpointSlice, Service } from '../../client/objects.ts';
import { planClusterIps, usable, virtualPorts } from './plan.ts';

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
      virtualPorts([web], slices).map((port) => [port.vip, port.port, port.backends]),
      [
        ['10.200.128.9', 80, [{ address: '10.200.0.2', port: 8080 }]],
        ['fd77:ef7:0:1::9', 80, [{ address: 'fd77:ef7::2', port: 8080 }]],
      ],
    );
  });

  test('a Service without endpoints has no entry, and the order of input does not matter', () => {
    const other = { ...web, metadata: { name: 'other', namespace: 'shop' } };
    const slices = [slice('IPv4', [endpoint('10.200.0.2', true, true, false)])];
    const plan = planClusterIps([web, other], slices, ['10.200.128.0/17']);
    const map = plan.sets.find((set) => set.name === 'services4');
    assert.equal(map?.kind === 'vmap' ? map.entries.length : -1, 1);
    assert.deepEqual(planClusterIps([other, web], [...slices].reverse(), ['10.200.128.0/17']), plan);
  });
});
