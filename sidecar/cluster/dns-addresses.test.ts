import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chosenAddresses } from './dns-addresses.ts';

const both = ['fd00::1', '10.0.0.1', '10.0.0.2'];

test('families, and one address of a logical name', () => {
  assert.deepEqual(chosenAddresses(both, {}), both);
  assert.deepEqual(chosenAddresses(both, { family: 'v4' }), ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual(chosenAddresses(both, { family: 'v6' }), ['fd00::1']);
  assert.deepEqual(chosenAddresses(both, { family: 'v4-preferred' }), ['10.0.0.1', '10.0.0.2']);
  assert.deepEqual(chosenAddresses(['fd00::1'], { family: 'v4-preferred' }), ['fd00::1']);
  assert.deepEqual(chosenAddresses(['fd00::1'], { family: 'v4' }), []);
  assert.deepEqual(chosenAddresses(both, { first: true }), ['fd00::1']);
  assert.deepEqual(chosenAddresses(both, { first: true, family: 'v4' }), ['10.0.0.1']);
});
