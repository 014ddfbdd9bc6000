import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Container, Pod } from '../client/objects.ts';
import { containerEnv, expand, type ObjectLookup } from './env.ts';
import { fieldOf, quantity } from './fields.ts';

const addresses = { podIps: ['10.200.0.2', 'fd77:ef7::2'], hostIps: ['10.200.0.1'] };
const pod: Pod = {
  metadata: { name: 'p', namespace: 'shop', uid: 'u', labels: { b: '2', a: 'x"y' } },
  spec: { nodeName: 'n', containers: [] },
};
const objects: ObjectLookup = {
  configMap: (namespace, name) =>
    namespace === 'shop' && name === 'cm' ? { metadata: { name }, data: { COLOR: 'blue', N: '1' } } : undefined,
  secret: (_namespace, name) => (name === 's' ? { metadata: { name }, data: { PIN: 'MTIz' } } : undefined),
};
const env = (container: Partial<Container>) =>
  containerEnv(pod, { name: 'c', image: 'i', ...container }, { BASE: '1' }, addresses, objects);

describe('environment', () => {
  test('later sources win, and a variable may use those before it', () => {
    const result = env({
      envFrom: [{ configMapRef: { name: 'cm' } }, { prefix: 'S_', secretRef: { name: 's' } }],
      env: [
        { name: 'COLOR', value: 'red' },
        { name: 'BOTH', value: '$(COLOR) $(S_PIN) $(NOPE) $$(COLOR)' },
        { name: 'IP', valueFrom: { fieldRef: { fieldPath: 'status.podIPs' } } },
      ],
    });
    assert.deepEqual(result, {
      ok: true,
      env: {
        BASE: '1',
        COLOR: 'red',
        N: '1',
        S_PIN: '123',
        BOTH: 'red 123 $(NOPE) $(COLOR)',
        IP: '10.200.0.2,fd77:ef7::2',
      },
    });
  });

  test('a missing object is an error that names it, unless optional', () => {
    const missing = env({ env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'no', key: 'k' } } }] });
    assert.deepEqual(missing, { ok: false, message: 'configmap "no" not found' });
    assert.equal(
      env({ env: [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'no', key: 'k', optional: true } } }] }).ok,
      true,
    );
    assert.equal(env({ envFrom: [{ secretRef: { name: 'no' } }] }).ok, false);
    assert.equal(env({ env: [{ name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'no' } } }] }).ok, false);
  });

  test('text without references stays as it is', () => {
    fc.assert(fc.property(fc.string(), (text) => !/\$[$(]/.test(text) === false || expand(text, { A: '1' }) === text));
  });
});

test('downward fields', () => {
  assert.deepEqual(fieldOf(pod, addresses, "metadata.labels['b']"), { ok: true, value: '2' });
  assert.deepEqual(fieldOf(pod, addresses, 'metadata.labels'), { ok: true, value: 'a="x\\"y"\nb="2"' });
  assert.equal(fieldOf(pod, addresses, 'spec.nope').ok, false);
});

test('quantities', () => {
  assert.deepEqual(['1', '1500m', '64Mi', '1e3', '2k'].map(quantity), [1, 1.5, 67108864, 1000, 2000]);
  assert.equal(quantity('a lot'), undefined);
});
