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
  const { levels, panic } = usableHosts(hosts, panicPercent);
  const said = levels.map(({ hosts: usable, percent }) => {
    const which = usable.map((one) => hosts.indexOf(one)).join(' ');
    return percent === 100 ? which : `${which} at ${Math.round(percent)} %`;
  });
  return `${said.join(', ')}${panic ? ' panic' : ''}`;
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
  // A third of the first priority is healthy and takes 1.4 times its share, of a capacity of 146.
  assert.equal(chosen(50, ...hosts), '2 at 46 %, 3 at 54 %');
  assert.equal(chosen(0, ...hosts), '2 at 46 %, 3 at 54 %');
  assert.equal(chosen(50, ...hosts.slice(0, 3), host(1, 'unhealthy')), '0 1 2 at 75 %, 3 at 25 % panic');
});

test('a priority keeps all traffic while 1 / 1.4 of it is healthy, then gives up what it lacks', () => {
  const first = (healthy: number): Host[] =>
    Array.from({ length: 10 }, (_, i) => host(0, i < healthy ? 'healthy' : 'unhealthy'));
  const second = [host(1, 'healthy')];
  assert.equal(chosen(50, ...first(8), ...second), '0 1 2 3 4 5 6 7');
  assert.equal(chosen(50, ...first(7), ...second), '0 1 2 3 4 5 6 at 98 %, 10 at 2 %');
  assert.equal(chosen(50, ...first(2), ...second), '0 1 at 28 %, 10 at 72 %');
  assert.equal(chosen(50, ...first(0), ...second), '10');
});

test('no panic while all priorities together can take everything', () => {
  // Less than the threshold of the first is healthy, but the second has room for the rest.
  assert.equal(chosen(90, host(0, 'healthy'), host(0, 'unhealthy'), host(1, 'healthy')), '0 at 70 %, 2 at 30 %');
});

test('what drains is used when nothing else is left, and only then', () => {
  assert.equal(chosen(50, host(0, 'draining'), host(1, 'draining')), '0 1');
  assert.equal(chosen(0, host(0, 'draining'), host(0, 'ejected')), '');
  assert.equal(chosen(50, host(0, 'draining'), host(1, 'healthy')), '1');
});

test('the last healthy one of very many is used where there is no panic', () => {
  const hosts = Array.from({ length: 200 }, (_, i) => host(0, i === 7 ? 'healthy' : 'unhealthy'));
  assert.equal(chosen(0, ...hosts), '7');
  assert.equal(chosen(0, ...hosts.map(() => host(0, 'unhealthy'))), '');
});
