import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import type { WorkloadAddress } from '@weft/policies/model/address';
import { XdsSource } from '../xds/source.ts';
import { waitForRemoval } from './drain-wait.ts';

const IP = '10.200.0.7';

const pod = (terminating: boolean): WorkloadAddress => ({
  kind: 'workload',
  namespace: 'shop',
  name: 'cart-1',
  spiffeId: 'spiffe://cluster.local/ns/shop/sa/cart' as SpiffeId,
  workloadName: 'cart',
  zone: '',
  mtls: true,
  service: 'cart',
  ports: [],
  terminating,
});

function make() {
  const clock = new ManualClock();
  const source = new XdsSource({
    clock,
    waitersMax: 1,
    namesMax: 10,
    subscribe: () => {},
    unsubscribe: () => {},
    count: () => {},
  });
  const tell = (terminating: boolean): void => {
    source.apply([{ kind: 'address', name: IP, entry: { value: pod(terminating) } }]);
  };
  return { clock, source, tell };
}

describe('drain wait', () => {
  test('answers when the removal is out', async () => {
    const { clock, source, tell } = make();
    tell(false);
    const outcome = waitForRemoval(source, IP, clock, 30_000);
    clock.advance(100);
    tell(true);
    assert.equal(await outcome, 'removed');
  });

  test('answers at once when it is out already', async () => {
    const { clock, source, tell } = make();
    tell(true);
    assert.equal(await waitForRemoval(source, IP, clock, 30_000), 'removed');
  });

  test('a container that is restarted in a pod that stays is not held up for long', async () => {
    const { clock, source, tell } = make();
    tell(false);
    const outcome = waitForRemoval(source, IP, clock, 30_000);
    clock.advance(3_000);
    assert.equal(await outcome, 'not-terminating');
  });

  test('is bounded by the grace period', async () => {
    const { clock, source } = make();
    const outcome = waitForRemoval(source, IP, clock, 1_000);
    clock.advance(1_000);
    assert.equal(await outcome, 'timeout');
  });
});
