import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { ManagementServer } from '@weft/policies/model/management-server';
import { testCluster } from '../filters/testing.ts';
import { EndpointServers } from './endpoint-servers.ts';

const server: ManagementServer = {
  cluster: 'xds',
  authority: '',
  metadata: [],
  variant: 'incremental',
  aggregated: true,
};

test('listeners wait for a server that does not answer for as long as its clusters say, and no longer', async () => {
  const clock = new ManualClock();
  const lines: string[] = [];
  const counted: string[] = [];
  const clusters = [
    testCluster('xds', {
      discovery: { kind: 'static', assignment: { clusterName: 'xds', endpoints: [] } },
      protocol: 'http2',
    }),
    testCluster('web', {
      discovery: { kind: 'eds', serviceName: 'cart', source: { kind: 'server', server, fetchTimeoutMs: 20_000 } },
    }),
  ];
  const servers = new EndpointServers(
    { clusters, node: { id: 'n', cluster: 'c' } },
    {
      dial: () => ({ cancel: () => undefined }),
      clock,
      prng: new SeededPrng(1),
      log: (line) => lines.push(line),
      count: (event) => counted.push(event),
    },
  );
  let over = false;
  const followed = servers.follow({ publish: () => undefined, whenApplied: (done) => done([]) }).then(() => {
    over = true;
  });
  clock.advance(19_999);
  await Promise.resolve();
  assert.equal(over, false);
  clock.advance(1);
  await followed;
  assert.ok(lines.includes('endpoints of cart are not known yet: there are none until they are'), lines.join('\\n'));
  assert.ok(counted.includes('eds.initial_fetch_timeout'));
  assert.deepEqual(servers.assignments(), []);
  servers.close();
});
