/** What retries make of a failure: no storm. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Handler } from '@weft/sidecar/filters/testing';
import type { HopOptions } from '@weft/sidecar/filters/testing-chain';
import {
  failing,
  HOPS,
  healthy,
  hedge,
  REQUESTS_PER_SECOND,
  retry,
  Storm,
  silent,
  wild,
} from '../simulation/storm.testing.ts';

/** How often the last application is asked in 20 s when it fails, as a multiple of when it does not. */
function amplification(hop: HopOptions): number {
  const normal = new Storm(hop);
  normal.run(20);
  normal.settle();
  const storm = new Storm(hop);
  storm.backend.answers = failing;
  storm.run(20);
  storm.settle();
  assert.equal(normal.backendRequests, 20 * REQUESTS_PER_SECOND);
  assert.equal(
    storm.seconds.reduce((sum, { good }) => sum + good, 0),
    0,
  );
  return storm.backendRequests / normal.backendRequests;
}

describe('a backend at 100 % errors, with retries on at every hop of a chain of four', () => {
  test('sees at most 1.2 times its normal load', () => {
    const times = amplification({ action: { retry } });
    assert.ok(times <= 1.2 && times > 1.01, `${times}`);
  });

  test('nor does hedging at every hop add to that', () => {
    const times = amplification({ action: { retry, hedge } });
    assert.ok(times <= 1.2 && times > 1.01, `${times}`);
  });

  test('with no word of it through the applications each hop adds its fifth, and no more', () => {
    const times = amplification({ action: { retry }, propagates: [] });
    assert.ok(times > 1.2 && times <= 1.2 ** HOPS, `${times}`);
  });

  test('without budgets and that word it would be a multiple', () => {
    const times = amplification(wild);
    assert.equal(times, 2 ** HOPS);
  });
});

describe('after an outage of 30 s all is well within 5 s, by itself', () => {
  const hop: HopOptions = { action: { retry, hedge, timeoutMs: 1_000 } };
  const outages: Readonly<Record<string, Handler>> = { errors: failing, silence: silent };

  const recovers = (storm: Storm, begin: () => void, end: () => void): void => {
    storm.run(10);
    // Those of the last second may be under way when it begins.
    const before = storm.seconds.slice(5, 9);
    begin();
    storm.run(30);
    end();
    storm.run(10);
    storm.settle();
    assert.equal(
      before.every(({ good, sent }) => good === sent),
      true,
    );
    assert.equal(
      storm.seconds.slice(12, 39).reduce((sum, { good }) => sum + good, 0),
      0,
    );
    const usualMs = Math.max(...before.map(({ slowestMs }) => slowestMs));
    for (const { good, sent, slowestMs } of storm.seconds.slice(45)) {
      assert.equal(good, sent);
      assert.ok(slowestMs <= usualMs * 2, `${slowestMs} ms, before ${usualMs} ms`);
    }
  };

  for (const [title, handler] of Object.entries(outages)) {
    test(`of ${title}`, () => {
      const storm = new Storm(hop);
      recovers(
        storm,
        () => {
          storm.backend.answers = handler;
        },
        () => {
          storm.backend.answers = healthy;
        },
      );
    });
  }

  test('of the network', () => {
    const storm = new Storm(hop);
    const server = storm.pods.at(-2)?.world.servers.get('10.0.0.2 80');
    assert.ok(server !== undefined);
    recovers(
      storm,
      () => {
        server.accepts = false;
        for (const connection of [...server.connections]) connection.destroy();
      },
      () => {
        server.accepts = true;
      },
    );
  });
});
