import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { authorizationPolicySpec } from '@weft/policies/crds/authorizationpolicy';
import { ruleNames } from './authorization.ts';

const namesOf = (rules: readonly object[]): readonly string[] =>
  ruleNames({ spec: authorizationPolicySpec.parse({ action: 'DENY', rules }) });

describe('rules are a map on the wire, so that each has a name of its own', () => {
  test('by number where none is given', () => {
    assert.deepEqual(namesOf([{}, { name: 'web' }, {}]), ['0', 'web', '2']);
  });

  test('a rule that is called by the number of another does not take its place', () => {
    const names = namesOf([{ name: '1', to: [{ paths: ['/a'] }] }, { to: [{ paths: ['/admin'] }] }, { name: '0' }]);
    assert.deepEqual(names, ['1', '#1', '0']);
    assert.equal(new Set(names).size, 3);
  });
});
