import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Address } from '@weft/policies/model/address';
import type { Endpoint } from '@weft/policies/model/cluster';
import type { Locality } from '@weft/policies/model/locality';
import fc from 'fast-check';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../filters/testing.ts';
import { Host } from './host.ts';
import { endpointsInReach, nearestHosts, nowhere, type OwnPlace } from './locality.ts';

const a1: OwnPlace = { zone: 'a', node: 'a-1', v4: true, v6: true };

const at = (zone: string, node = '', more: Partial<Endpoint> = {}): Endpoint =>
  testEndpoint(`10.0.0.${Math.abs(hash(zone + node + JSON.stringify(more)) % 250)}`, 80, {
    zone,
    ...(node === '' ? {} : { node }),
    ...more,
  });

const hash = (text: string): number => [...text].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) | 0, 7);

const chosen = (endpoints: readonly Endpoint[], locality: Locality | undefined, place: OwnPlace = a1): number[] => {
  const hosts = endpoints.map((endpoint) => new Host(endpoint, { kind: 'plaintext' }));
  return nearestHosts(hosts, locality, place, endpoints).map((host) => hosts.indexOf(host));
};

describe('the nearest endpoints', () => {
  const three = [at('a', 'a-1'), at('a', 'a-2'), at('b', 'b-1')];

  test('of the zone, of the node, or all alike', () => {
    assert.deepEqual(chosen(three, undefined), [0, 1, 2]);
    assert.deepEqual(chosen(three, 'prefer-zone'), [0, 1]);
    assert.deepEqual(chosen(three, 'prefer-node'), [0]);
  });

  test('farther ones where there is none: the node, then the zone, then anywhere (KEP-3015)', () => {
    assert.deepEqual(chosen(three, 'prefer-node', { ...a1, node: 'a-3' }), [0, 1]);
    assert.deepEqual(chosen(three, 'prefer-node', { ...a1, zone: 'c', node: 'c-1' }), [0, 1, 2]);
    assert.deepEqual(chosen(three, 'prefer-zone', { ...a1, zone: 'c' }), [0, 1, 2]);
    assert.deepEqual(chosen([at('a', 'a-1', { weight: 0 }), at('b')], 'prefer-zone'), [1]);
  });

  test('who does not know its own place prefers nothing', () => {
    assert.deepEqual(chosen([at(''), at('b')], 'prefer-zone', nowhere), [0, 1]);
    assert.deepEqual(chosen([at('', ''), at('b')], 'prefer-node', nowhere), [0, 1]);
  });

  test('hints say for whom an endpoint is, wherever it runs', () => {
    const forZones = (zones: string[]) => ({ hints: { zones, nodes: [] } });
    assert.deepEqual(chosen([at('a', '', forZones(['b'])), at('b', '', forZones(['a', 'b']))], 'prefer-zone'), [1]);
    assert.deepEqual(chosen([at('a', '', forZones(['b'])), at('b', '', forZones(['a']))], 'zone-hints'), [1]);
    const forNodes = { hints: { zones: [], nodes: ['a-1'] } };
    assert.deepEqual(
      chosen([at('a', 'a-1', { hints: { zones: [], nodes: ['a-2'] } }), at('b', 'b-1', forNodes)], 'prefer-node'),
      [1],
    );
  });

  test('topology hints count only if every endpoint has some', () => {
    const hinted = at('a', '', { hints: { zones: ['a'], nodes: [] } });
    assert.deepEqual(chosen([hinted, at('b')], 'zone-hints'), [0, 1]);
    assert.deepEqual(chosen([hinted, at('b', '', { health: 'draining' })], 'zone-hints'), [0]);
  });

  test('some host is always left, and nothing is made up', () => {
    const zones = fc.constantFrom('', 'a', 'b');
    const endpoint = fc
      .record({ zone: zones, node: fc.constantFrom('', 'a-1', 'b-1'), hinted: fc.array(zones, { maxLength: 2 }) })
      .map(({ zone, node, hinted }) =>
        at(zone, node, hinted.length === 0 ? {} : { hints: { zones: hinted, nodes: [] } }),
      );
    const localities = fc.constantFrom<Locality>('prefer-zone', 'prefer-node', 'zone-hints', 'local-node');
    fc.assert(
      fc.property(
        fc.array(endpoint, { minLength: 1, maxLength: 8 }),
        localities,
        zones,
        (endpoints, locality, zone) => {
          const picked = chosen(endpoints, locality, { ...a1, zone });
          assert.ok(picked.length > 0);
          assert.equal(new Set(picked).size, picked.length);
          assert.ok(picked.every((index) => index >= 0));
        },
      ),
    );
  });
});

describe('endpoints in reach', () => {
  const both = testEndpoint('10.0.0.1', 80, { alternatives: [{ ip: 'fd00::1', port: 80 }] });
  const only4 = testEndpoint('10.0.0.2', 80);

  test('a client of one family uses the address of that family', () => {
    assert.deepEqual(endpointsInReach([both, only4], undefined, a1), [both, only4]);
    assert.deepEqual(endpointsInReach([both, only4], undefined, { ...a1, v6: false }), [both, only4]);
    const sixth = endpointsInReach([both, only4], undefined, { ...a1, v4: false });
    assert.deepEqual(
      sixth.map(({ address }) => address.ip),
      ['fd00::1'],
    );
    assert.deepEqual(endpointsInReach([only4], undefined, { ...a1, v4: false }), [only4]);
  });

  test('internalTrafficPolicy Local goes nowhere else', () => {
    const here = at('a', 'a-1');
    assert.deepEqual(endpointsInReach([here, at('a', 'a-2')], 'local-node', a1), [here]);
    assert.deepEqual(endpointsInReach([at('a', 'a-2')], 'local-node', a1), []);
    assert.deepEqual(endpointsInReach([at('a', '')], 'local-node', nowhere), []);
  });
});

describe('a cluster', () => {
  test('follows the place of its pod, and spills over when what is near cannot take traffic', () => {
    const world = new World(1, { ownIps: ['10.0.9.9'] });
    world.source.cluster(testCluster('shop', { locality: 'prefer-zone' }));
    const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
    const near = testEndpoint('10.0.0.1', 80, { zone: 'a' });
    const far = testEndpoint('10.0.0.2', 80, { zone: 'b' });
    const servers = [near, far].map(({ address }) => world.server(address.ip, address.port));
    const served = (): number[] => {
      const before = servers.map(({ requests }) => requests.length);
      for (let i = 0; i < 50; i++) {
        world.send(dispatch);
        world.clock.advance(1);
      }
      return servers.map(({ requests }, i) => requests.length - (before[i] ?? 0));
    };
    world.source.assignment('shop', [near, far]);
    assert.ok(served().every((count) => count > 0));
    world.source.address('10.0.9.9', ownAddress('a'));
    assert.deepEqual(served(), [50, 0]);
    world.source.assignment('shop', [{ ...near, health: 'unhealthy' }, far]);
    assert.deepEqual(served(), [0, 50]);
    world.source.assignment('shop', [near, far]);
    world.source.address('10.0.9.9', ownAddress('b'));
    assert.deepEqual(served(), [0, 50]);
  });
});

function ownAddress(zone: string): Address {
  const spiffeId = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/web');
  assert.ok(spiffeId.ok);
  return {
    kind: 'workload',
    namespace: 'shop',
    name: 'web-1',
    spiffeId: spiffeId.value,
    workloadName: 'web',
    zone,
    mtls: true,
    service: '',
    ports: [],
    terminating: false,
  };
}
