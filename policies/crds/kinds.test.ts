import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { weftSamples } from './corpus-weft.testing.ts';
import { objectSchema } from './crd.ts';
import { gatewaySamples } from './gateway/corpus-gateway.testing.ts';
import { type KindDefinition, kindNames, kinds, parseKind } from './kinds.ts';
import { describeErrors, formatPath } from './parse.ts';
import type { StructuralSchema } from './structural.ts';

for (const kind of kindNames) {
  describe(kind, () => {
    for (const { title, object, error } of [...weftSamples, ...gatewaySamples].filter((one) => one.kind === kind)) {
      test(`${error === undefined ? 'takes' : 'refuses'} ${title}`, () => {
        const result = parseKind(kind, object);
        if (error === undefined) {
          assert.ok(result.ok, result.ok ? '' : describeErrors(result.error));
          return;
        }
        assert.ok(!result.ok, 'it was taken');
        const [path, message] = error;
        assert.ok(
          result.error.some((one) => one.path === path && one.message.includes(message)),
          `${path}: ${message} is not in: ${describeErrors(result.error)}`,
        );
      });
    }
  });
}

describe('parseKind', () => {
  test('fills in defaults', () => {
    const result = parseKind('TrafficPolicy', {
      metadata: { name: 'a', namespace: 'shop' },
      spec: { targetRefs: [{ kind: 'Service', name: 'cart' }], retries: {}, circuitBreaker: { errorRate: {} } },
    });
    assert.ok(result.ok);
    assert.deepEqual(result.value.spec, {
      targetRefs: [{ group: '', kind: 'Service', name: 'cart' }],
      retries: {
        attempts: 2,
        retryOn: ['5xx', 'connect-failure', 'reset', 'refused-stream'],
        backoff: { baseInterval: '25ms', maxInterval: '250ms' },
        retryAfter: { max: '5s', headers: [{ name: 'Retry-After', format: 'Seconds' }] },
        retryNonIdempotent: false,
        idempotencyKey: false,
        maxBodyBytes: 65_536,
        nested: 'Skip',
      },
      circuitBreaker: {
        errorRate: { thresholdPercent: 50, volume: 20, window: '10s', openFor: '30s' },
      },
    });
  });

  test('takes what an API server adds to metadata, and status', () => {
    const result = parseKind('AuthorizationPolicy', {
      apiVersion: 'weft.dev/v1alpha1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'a', namespace: 'shop', creationTimestamp: null, managedFields: [{ manager: 'kubectl' }] },
      status: { ancestors: [], futureField: 1 },
    });
    assert.ok(result.ok, result.ok ? '' : describeErrors(result.error));
    assert.equal(result.value.metadata.creationTimestamp, '');
  });

  test('refuses another kind or version', () => {
    const metadata = { name: 'default' };
    const result = parseKind('Mesh', { apiVersion: 'weft.dev/v1', kind: 'TrafficPolicy', metadata, spec: {} });
    assert.ok(!result.ok);
    assert.deepEqual(result.error.map((one) => one.path).sort(), ['apiVersion', 'kind']);
  });

  test('refuses what is no object', () => {
    for (const value of [undefined, null, 3, 'x', [], true]) assert.ok(!parseKind('Mesh', value).ok);
  });

  test('runs no rule on what breaks its schema', () => {
    const result = parseKind('TrafficPolicy', {
      metadata: { name: 'a', namespace: 'b' },
      spec: {
        targetRefs: [{ kind: 'Service', name: 'cart' }],
        timeouts: { request: 'soon', backendRequest: 'later', connect: 'now' },
      },
    });
    assert.ok(!result.ok);
    assert.deepEqual(
      result.error.map((one) => one.path),
      ['spec.timeouts.request', 'spec.timeouts.backendRequest', 'spec.timeouts.connect'],
    );
  });

  test('reports many errors, but not endlessly many', () => {
    const rules = Array.from({ length: 64 }, () => ({ from: [{ principals: ['x'], namespaces: ['?'] }] }));
    const result = parseKind('AuthorizationPolicy', { metadata: { name: 'a', namespace: 'b' }, spec: { rules } });
    assert.ok(!result.ok);
    assert.equal(result.error.length, 21);
    assert.match(result.error.at(-1)?.message ?? '', /108 further errors/);
  });

  test('writes paths as kubectl does', () => {
    assert.equal(formatPath(['spec', 'rules', 0, 'name']), 'spec.rules[0].name');
    assert.equal(formatPath(['metadata', 'labels', 'a/b']), 'metadata.labels["a/b"]');
    assert.equal(formatPath([]), '');
  });
});

describe('printer columns', () => {
  for (const name of kindNames) {
    const definition: KindDefinition = kinds[name];
    const schema = objectSchema(definition);
    for (const { name: column, jsonPath } of definition.printerColumns) {
      test(`${name}: ${column} is a field`, () => {
        let at: StructuralSchema | undefined = schema;
        for (const part of jsonPath.slice(1).split(/\.(?![^[]*\])/)) {
          const [field, inList] = part.split('[');
          if (field === 'metadata') return;
          at = at?.properties?.[field ?? ''];
          if (inList !== undefined) at = at?.items;
        }
        assert.ok(at !== undefined, jsonPath);
      });
    }
  }
});
