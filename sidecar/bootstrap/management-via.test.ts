import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '@weft/policies/model/cluster';
import { testCluster } from '../filters/testing.ts';
import type { Connected } from '../grpc/channel.ts';
import { viaCluster } from './management-via.ts';

const HOSTS = new Map([
  ['one', ['10.0.0.1', '::1', '10.0.0.2']],
  ['two', ['10.0.0.3']],
]);

/** Where `times` connections go, one after the other. */
function dialled(more: Partial<Extract<Cluster['discovery'], { kind: 'strict-dns' }>>, times: number) {
  const hosts = [...HOSTS.keys()].map((host) => ({ host, port: 80 }));
  const discovery = { kind: 'strict-dns', hosts, refreshMs: 5_000, ...more } as const;
  const seen: string[] = [];
  const via = viaCluster(
    testCluster('xds', { discovery, protocol: 'http2' }),
    '',
    ({ endpoint }) => {
      seen.push(endpoint.address.ip);
      return { cancel: () => undefined };
    },
    (host, done) => done({ ips: HOSTS.get(host) ?? [] }),
  );
  const note = (result: Connected): void => void seen.push('error' in result ? result.error : 'connected');
  for (let i = 0; i < times; i++) via.connect(note);
  return seen;
}

test('all addresses of all names of the cluster take turns', () => {
  assert.deepEqual(dialled({}, 7), ['10.0.0.1', '10.0.0.3', '::1', '10.0.0.3', '10.0.0.2', '10.0.0.3', '10.0.0.1']);
});

test('addresses are of the family that the cluster wants', () => {
  assert.deepEqual(dialled({ family: 'v6' }, 3), [
    '::1',
    'cluster xds: two has no address of the wanted family',
    '::1',
  ]);
  assert.deepEqual(dialled({ family: 'v4' }, 3), ['10.0.0.1', '10.0.0.3', '10.0.0.2']);
});

test('LOGICAL_DNS is one address of its name', () => {
  const hosts = [{ host: 'one', port: 80 }];
  assert.deepEqual(dialled({ hosts, first: true }, 3), ['10.0.0.1', '10.0.0.1', '10.0.0.1']);
});
