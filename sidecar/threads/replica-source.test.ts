import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import type { Change } from '../xds/table-source.ts';
import { ReplicaSource } from './replica-source.ts';

function make(complete: boolean, wantedMax = 10) {
  const wanted: string[] = [];
  const counted: string[] = [];
  const source = new ReplicaSource({
    clock: new ManualClock(),
    waitersMax: 10,
    wantedMax,
    complete,
    want: (kind, name) => wanted.push(`${kind} ${name}`),
    count: (event) => counted.push(event),
  });
  return { source, wanted, counted };
}

const endpoints = (name: string): Change => ({
  kind: 'endpoints',
  name,
  entry: { value: { clusterName: name, endpoints: [] } },
});

test('an unknown name is wanted once, and again when it was known and dropped', () => {
  const { source, wanted } = make(false);
  const seen: string[] = [];
  for (let i = 0; i < 2; i++) source.wait('endpoints', 'a', 1_000, (lookup) => seen.push(lookup.state));
  assert.deepEqual(wanted, ['endpoints a']);
  source.apply([endpoints('a')]);
  assert.deepEqual(seen, ['found', 'found']);
  source.apply([{ kind: 'endpoints', name: 'a', entry: undefined }]);
  assert.equal(source.lookup('endpoints', 'a').state, 'pending');
  assert.deepEqual(wanted, ['endpoints a', 'endpoints a']);
});

test('what a bootstrap does not have does not exist', () => {
  const { source, wanted } = make(true);
  source.apply([endpoints('a')]);
  assert.equal(source.lookup('endpoints', 'a').state, 'found');
  assert.equal(source.lookup('endpoints', 'b').state, 'absent');
  let state = '';
  source.wait('endpoints', 'b', 1_000, (lookup) => {
    state = lookup.state;
  });
  assert.equal(state, 'absent');
  assert.deepEqual(wanted, []);
});

test('names that nobody answers are bounded', () => {
  const { source, wanted, counted } = make(false, 2);
  for (const name of ['a', 'b', 'c', 'a']) source.lookup('endpoints', name);
  assert.deepEqual(wanted, ['endpoints a', 'endpoints b', 'endpoints c', 'endpoints a']);
  assert.deepEqual(counted, ['on_demand_wanted_full', 'on_demand_wanted_full']);
});
