import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ClusterState } from '../index/state.ts';
import { parseObjects } from '../static/objects.ts';
import { trustDomain } from '../testing/harness.ts';
import type { TranslateContext } from '../translate/context.ts';
import { validateObject } from './validate.ts';

function contextWith(yaml: string): TranslateContext {
  const state = new ClusterState('weft-system');
  const objects = parseObjects(yaml);
  if (!objects.ok) assert.fail(objects.error);
  for (const object of objects.value) state.apply(object);
  return { state, trustDomain: trustDomain(), isDrained: () => true };
}

const context = contextWith(`
kind: Service
metadata: { name: cart, namespace: shop }
spec: { clusterIPs: [10.96.0.10], ports: [{ name: http, port: 80 }, { name: tcp, port: 9000 }] }
`);
const cart = { group: '', kind: 'Service', name: 'cart' };
const object = (kind: string, spec: object) => ({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind,
  metadata: { name: 'r', namespace: 'shop' },
  spec,
});

describe('admission of routes', () => {
  test('a route of a gateway alone is not judged, whatever fields it has', () => {
    for (const kind of ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute']) {
      const spec = { parentRefs: [{ name: 'gateway' }], rules: [{ fieldOfTomorrow: 1 }] };
      assert.deepEqual(validateObject(context, kind, object(kind, spec)), { allowed: true, warnings: [] });
    }
  });

  const refused: readonly (readonly [kind: string, spec: object, message: RegExp])[] = [
    ['HTTPRoute', { rules: [{ fieldOfTomorrow: 1 }] }, /fieldOfTomorrow/],
    ['GRPCRoute', { rules: [{ matches: [{ method: {} }] }] }, /set service, method or both/],
    [
      'GRPCRoute',
      { rules: [{}, { matches: [{ method: { type: 'RegularExpression', method: '(' } }] }] },
      /spec\.rules\[1\]\.matches\[0\]\.method\.method: pattern "\("/,
    ],
    [
      'HTTPRoute',
      { rules: [{ matches: [{ path: { type: 'RegularExpression', value: '/(a)\\1' } }] }] },
      /spec\.rules\[0\]\.matches\[0\]\.path\.value: .*linear time/,
    ],
    [
      'HTTPRoute',
      {
        rules: [
          {
            filters: [
              { type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'x', value: 'a\r\nb: c' }] } },
            ],
          },
        ],
      },
      /spec\.rules\[0\]\.filters\[0\]\.requestHeaderModifier\.set\[0\]\.value: /,
    ],
    ['TCPRoute', { rules: [] }, /at least 1/],
    ['TLSRoute', { rules: [{ backendRefs: [{ name: 'a', port: 1 }] }] }, /hostnames/],
  ];
  for (const [kind, spec, message] of refused) {
    test(`a ${kind} of the mesh keeps the schema`, () => {
      const verdict = validateObject(context, kind, object(kind, { parentRefs: [cart], ...spec }));
      assert.match(verdict.allowed ? 'allowed' : verdict.message, message);
    });
  }

  test('a pattern that a gateway may understand is a warning where the route has one too', () => {
    const spec = {
      parentRefs: [cart, { name: 'gateway' }],
      rules: [{}, { matches: [{ path: { type: 'RegularExpression', value: '(' } }] }],
    };
    const verdict = validateObject(context, 'HTTPRoute', object('HTTPRoute', spec));
    assert.match(verdict.allowed ? verdict.warnings.join() : verdict.message, /^Dropped Rule 1: /);
  });

  const warned: readonly (readonly [kind: string, spec: object, warnings: readonly RegExp[]])[] = [
    ['HTTPRoute', { rules: [{ backendRefs: [{ name: 'cart', port: 80 }] }] }, []],
    ['HTTPRoute', { rules: [{ backendRefs: [{ name: 'missing', port: 80 }] }] }, [/there is no Service shop\/missing/]],
    [
      'TLSRoute',
      { hostnames: ['a.example'], rules: [{ backendRefs: [{ name: 'cart', port: 80 }] }] },
      [/does not carry TLS/],
    ],
  ];
  for (const [kind, spec, warnings] of warned) {
    test(`a ${kind} is stored with ${warnings.length} warnings: ${warnings.join(', ')}`, () => {
      const verdict = validateObject(context, kind, object(kind, { parentRefs: [cart], ...spec }));
      assert.ok(verdict.allowed);
      assert.equal(verdict.warnings.length, warnings.length, verdict.warnings.join('; '));
      for (const [index, warning] of warnings.entries()) assert.match(verdict.warnings[index] ?? '', warning);
    });
  }
});

describe('admission of policies that ask an authorizer', () => {
  const policy = (name: string, provider: string) => ({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop' },
    spec: { action: 'CUSTOM', provider, rules: [{}] },
  });
  const meshOf = (authorizers: readonly object[]) => ({
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { authorizers },
  });
  const opa = { name: 'opa', grpc: { target: { namespace: 'shop', name: 'cart', port: 9000 } } };
  const asking = contextWith(
    [
      'kind: Service\nmetadata: { name: cart, namespace: shop }\nspec: { clusterIPs: [10.96.0.10], ports: [{ port: 9000 }] }',
      JSON.stringify(meshOf([opa])),
      ...Array.from({ length: 6 }, (_, i) => JSON.stringify(policy(`ask-${i}`, 'opa'))),
    ].join('\n---\n'),
  );
  const warnings = (kind: string, value: object): readonly string[] => {
    const verdict = validateObject(asking, kind, value);
    assert.ok(verdict.allowed);
    return verdict.warnings;
  };

  test('warns where there is none, and says what happens then', () => {
    assert.deepEqual(warnings('AuthorizationPolicy', policy('ask', 'opa')), []);
    assert.match(
      warnings('AuthorizationPolicy', policy('ask', 'nobody')).join(),
      /^the Mesh has no authorizer nobody; add it to its authorizers; requests that the policy matches are refused/,
    );
  });

  test('warns where the Mesh takes one away that is in use', () => {
    assert.deepEqual(warnings('Mesh', meshOf([opa])), []);
    const [warning = ''] = warnings('Mesh', meshOf([{ ...opa, name: 'other' }]));
    assert.match(
      warning,
      /^authorizers are gone that policies ask; .*shop\/ask-0 \(opa\), .*shop\/ask-3 \(opa\), and 2 more$/,
    );
    assert.ok(warning.length <= 240);
  });
});
