import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestRecord } from '../../telemetry/record.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';

test('a record says all of its request to whoever is handed it, and nothing when that is over', () => {
  const world = new World();
  world.source.cluster(testCluster('shop'));
  world.source.assignment('shop', [testEndpoint('10.0.0.1', 80)]);
  world.server('10.0.0.1', 80);
  const handed: RequestRecord[] = [];
  const said: unknown[] = [];
  world.recorder.record = (record) => {
    handed.push(record);
    said.push([record.path, record.status, record.remote]);
  };
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop')) }));
  world.send(dispatch, { path: '/a' });
  world.send(dispatch, { path: '/b' });
  world.clock.advance(10);
  assert.deepEqual(said, [
    ['/a', 200, '192.0.2.1:1000'],
    ['/b', 200, '192.0.2.1:1000'],
  ]);
  for (const record of handed) {
    assert.deepEqual([record.path, record.status, record.authority, record.requestId], ['', 0, '', '']);
  }
});
