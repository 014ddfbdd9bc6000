/** Calls of pods by their addresses (docs/decisions/011). */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseSpiffeId } from '@weft/policies/identity/spiffe-id';
import type { AppProtocol, WorkloadAddress } from '@weft/policies/model/address';
import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import type { RetryPolicy } from '@weft/policies/model/route';
import { findPlan, type OutboundPlan } from '../listener/outbound.ts';
import { forwardTo, routes, testCluster, testHcm, World } from './testing.ts';

const direct = 'direct/shop/db/80';
const retry: RetryPolicy = {
  on: ['5xx'],
  retriesMax: 2,
  perTryTimeoutMs: 0,
  statusCodes: [],
  backoffBaseMs: 10,
  backoffMaxMs: 20,
  nonIdempotent: false,
};

function pod(name: string, ports: WorkloadAddress['ports']): WorkloadAddress {
  const spiffeId = parseSpiffeId('spiffe://cluster.local/ns/shop/sa/db');
  assert.ok(spiffeId.ok);
  return {
    kind: 'workload',
    namespace: 'shop',
    name,
    spiffeId: spiffeId.value,
    workloadName: 'db',
    zone: '',
    mtls: true,
    service: 'canonical',
    ports,
    terminating: false,
  };
}

function statefulSet(protocol: AppProtocol = 'http') {
  const world = new World();
  const ports = [
    { port: 80, protocol, routeConfiguration: protocol === 'http' ? direct : '', cluster: direct },
    { port: 81, protocol, routeConfiguration: '', cluster: '' },
  ];
  const ips = ['10.0.0.1', '10.0.0.2'];
  for (const [index, ip] of ips.entries()) world.source.address(ip, pod(`db-${index}`, ports));
  world.source.cluster(
    testCluster(direct, {
      discovery: { kind: 'original-dst' },
      service: { namespace: 'shop', name: 'db' },
      errorRate: { thresholdPercent: 50, volumeMin: 6, windowMs: 10_000, openMs: 10_000 },
    }),
  );
  world.source.route(routes(direct, forwardTo(direct, { retry })));
  const servers = ips.map((ip) => [80, 81].map((port) => world.server(ip, port)));
  const served = (): number[][] => servers.map((one) => one.map((server) => server.requests.length));
  const dispatch = world.dispatch(testHcm({ kind: 'rds', name: ORIGINAL_DESTINATION }));
  const call = (destinationIp: string, destinationPort: number) => {
    const exchange = world.send(dispatch, {}, undefined, { destinationIp, destinationPort });
    for (let i = 0; i < 5; i++) world.clock.advance(20);
    return exchange;
  };
  return { world, servers, served, call };
}

describe('pods of a headless Service', () => {
  test('retries stay with the pod that was called, over mesh TLS, under the name of the Service', () => {
    const { world, servers, served, call } = statefulSet();
    let answers = 0;
    const server = servers[1]?.[0];
    assert.ok(server);
    server.handler = () => ({ status: ++answers < 3 ? 503 : 200 });
    assert.equal(call('10.0.0.2', 80).status, 200);
    assert.deepEqual(served(), [
      [0, 0],
      [3, 0],
    ]);
    assert.ok(world.dials.every(({ security }) => security.kind === 'mesh'));
    const [record] = world.recorder.records;
    assert.equal(record?.destinationService, 'shop/db');
    assert.equal(record?.destinationWorkload, 'shop/db');
    assert.equal(record?.attempts, 3);
    assert.equal(record?.cluster, direct);
  });

  test('the circuit breaker of the Service counts', () => {
    const { servers, served, call } = statefulSet();
    const server = servers[0]?.[0];
    assert.ok(server);
    server.handler = () => ({ status: 500 });
    for (let i = 0; i < 4; i++) call('10.0.0.1', 80);
    const before = served();
    assert.equal(call('10.0.0.1', 80).status, 503);
    assert.deepEqual(served(), before);
  });

  test('a port that no such Service has goes straight to the pod: no retries, and the label of the pod', () => {
    const { world, servers, served, call } = statefulSet();
    const server = servers[0]?.[1];
    assert.ok(server);
    server.handler = () => ({ status: 503 });
    assert.equal(call('10.0.0.1', 81).status, 503);
    assert.deepEqual(served(), [
      [0, 1],
      [0, 0],
    ]);
    assert.ok(world.dials.every(({ security }) => security.kind === 'mesh'));
    assert.equal(world.recorder.records[0]?.destinationService, 'shop/canonical');
  });

  test('opaque bytes too', () => {
    const { world } = statefulSet('tcp');
    const plans: (Pick<OutboundPlan, 'protocol' | 'cluster' | 'service'> | string)[] = [];
    const deps = { source: world.source, onDemandWaitMsMax: 10, recorder: world.recorder };
    for (const port of [80, 81, 82]) {
      findPlan(deps, { ip: '10.0.0.1', port }, (plan) => {
        if (typeof plan === 'string') plans.push(plan);
        else plans.push({ protocol: plan.protocol, cluster: plan.cluster, service: plan.service });
      });
    }
    assert.deepEqual(plans, [
      { protocol: 'tcp', cluster: direct, service: 'shop/canonical' },
      { protocol: 'tcp', cluster: ORIGINAL_DESTINATION, service: 'shop/canonical' },
      { protocol: 'detect', cluster: ORIGINAL_DESTINATION, service: 'shop/canonical' },
    ]);
    const connected: unknown[] = [];
    for (const cluster of [direct, ORIGINAL_DESTINATION]) {
      world.clusters.forTcp.connect(cluster, { ip: '10.0.0.2', port: 80 }, (result) => {
        assert.ok('transport' in result);
        connected.push([result.endpoint.address.ip, result.cluster, result.service?.name]);
        result.release();
      });
      world.clock.advance(1);
    }
    assert.deepEqual(connected, [
      ['10.0.0.2', direct, 'db'],
      ['10.0.0.2', direct, 'db'],
    ]);
  });
});
