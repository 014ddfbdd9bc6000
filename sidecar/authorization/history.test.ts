import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FlowReport } from '@weft/policies/model/decision-report';
import { FlowHistory } from './history.ts';

const flow = (path: string, count = 1): FlowReport => ({
  identity: 'spiffe://cluster.local/ns/shop/sa/web',
  ip: '',
  method: 'GET',
  host: 'cart',
  path,
  example: '',
  port: 8080,
  denied: false,
  count,
});

describe('what a sidecar has told', () => {
  test('is told anew to who has not got it, once, with the hour and who else has it', () => {
    const history = new FlowHistory(() => undefined);
    history.told([flow('/a', 2), flow('/b')], 100, 'one');
    history.told([flow('/a', 3)], 100, 'one');
    history.told([flow('/a')], 101, 'one');
    assert.deepEqual(history.missingAt('one', 10), []);
    const missing = history.missingAt('two', 10);
    assert.deepEqual(
      missing.map((past) => [past.flow.path, past.flow.count, past.hour, past.heldBy]),
      [
        ['/a', 5, 100, ['one']],
        ['/b', 1, 100, ['one']],
        ['/a', 1, 101, ['one']],
      ],
    );
    history.retold(missing.slice(0, 2), 'two');
    assert.deepEqual(
      history.missingAt('two', 10).map(({ hour }) => hour),
      [101],
    );
    assert.deepEqual(history.missingAt('three', 10)[0]?.heldBy, ['one', 'two']);
  });

  test('is forgotten after a day, and has a bound', () => {
    let dropped = 0;
    const history = new FlowHistory(() => {
      dropped++;
    });
    history.told([flow('/old')], 100, 'one');
    history.told([], 123, 'one');
    assert.equal(history.size, 1);
    history.told([], 124, 'one');
    assert.equal(history.size, 0);
    history.told(
      Array.from({ length: 5_000 }, (_, i) => flow(`/${i}`)),
      124,
      'one',
    );
    assert.equal(history.size, 4_096);
    assert.equal(dropped, 904);
    assert.equal(history.missingAt('two', 1)[0]?.flow.path, '/904', 'the oldest are gone');
  });

  test('is not told for ever, where control planes come and go', () => {
    const history = new FlowHistory(() => undefined);
    history.told([flow('/a')], 100, 'first');
    for (let i = 0; i < 20; i++) history.retold(history.missingAt(`i${i}`, 10), `i${i}`);
    assert.deepEqual(history.missingAt('last', 10), []);
  });
});
