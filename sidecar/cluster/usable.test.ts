import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { Endpoint } from '@weft/policies/model/cluster';
import { defaultOutlierDetection } from '@weft/policies/model/outlier';
import { Host } from './host.ts';
import { OutlierDetector } from './outlier/detector.ts';
import { usableHosts } from './usable.ts';

const detector = new OutlierDetector(
  defaultOutlierDetection,
  new SeededPrng(1),
  () => 0,
  () => undefined,
);

function host(priority: number, state: Endpoint['health'] | 'ejected'): Host {
  const endpoint: Endpoint = {
    address: { ip: '10.0.0.1', port: 1 },
    weight: 1,
    priority,
    zone: '',
    health: state === 'ejected' ? 'healthy' : state,
    mtls: false,
    spiffeId: undefined,
    workload: '',
  };
  const made = new Host(endpoint, { kind: 'plaintext' });
  made.outlier = detector.add();
  made.outlier.ejected = state === 'ejected';
  return made;
}

function chosen(panicPercent: number, ...hosts: readonly Host[]): string {
  const { hosts: usable, panic } = usableHosts(hosts, panicPercent);
  return `${usable.map((one) => hosts.indexOf(one)).join(' ')}${panic ? ' panic' : ''}`;
}

test('ejected, unhealthy and draining endpoints get nothing while enough are healthy', () => {
  assert.equal(chosen(50, host(0, 'healthy'), host(0, 'ejected'), host(0, 'draining')), '0');
  assert.equal(chosen(50, host(0, 'healthy'), host(0, 'unhealthy'), host(0, 'healthy')), '0 2');
});

test('panic: all of them but the draining, and never with a threshold of 0', () => {
  const hosts = [host(0, 'healthy'), host(0, 'ejected'), host(0, 'unhealthy'), host(0, 'draining')];
  assert.equal(chosen(50, ...hosts), '0 1 2 panic');
  assert.equal(chosen(33, ...hosts), '0');
  assert.equal(chosen(0, ...hosts), '0');
  assert.equal(chosen(50, host(0, 'ejected'), host(0, 'ejected')), '0 1 panic');
  assert.equal(chosen(0, host(0, 'ejected'), host(0, 'ejected')), '');
});

test('the next priority comes before panic', () => {
  const hosts = [host(0, 'ejected'), host(0, 'ejected'), host(0, 'healthy'), host(1, 'healthy')];
  assert.equal(chosen(50, ...hosts), '3');
  assert.equal(chosen(0, ...hosts), '2');
  assert.equal(chosen(50, ...hosts.slice(0, 3), host(1, 'unhealthy')), '0 1 2 panic');
});

test('what drains is used when nothing else is left, and only then', () => {
  assert.equal(chosen(50, host(0, 'draining'), host(1, 'draining')), '0 1');
  assert.equal(chosen(0, host(0, 'draining'), host(0, 'ejected')), '');
  assert.equal(chosen(50, host(0, 'draining'), host(1, 'healthy')), '1');
});
