/**
 * Our schemas of the Gateway API against models generated from its Go types: both must take what is right, and what
 * they refuse we must refuse. They know no rules between fields, so that nothing follows from what they take.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GRPCRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/GRPCRoute';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { TLSRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/TLSRoute';
import { TCPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1alpha2/TCPRoute';
import { ReferenceGrant } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1beta1/ReferenceGrant';
import fc from 'fast-check';
import { errorText } from '../../kit/error-text.ts';
import { arbitraryOf } from '../arbitrary.testing.ts';
import { objectOf } from '../corpus.testing.ts';
import { objectSchema } from '../crd.ts';
import { type KindDefinition, kinds, parseKind, type RouteKind, routeKinds } from '../kinds.ts';
import { celKey } from '../schema.ts';
import type { StructuralSchema } from '../structural.ts';
import { gatewaySamples } from './corpus-gateway.testing.ts';

type GatewayKind = RouteKind | 'ReferenceGrant';

/** TCPRoute became v1 after these models were made; its content is that of v1alpha2 with fewer rules. */
const models = { HTTPRoute, GRPCRoute, TLSRoute, TCPRoute, ReferenceGrant } as const;

function validate(kind: GatewayKind, object: object): void {
  const { prototype } = models[kind];
  const versioned = kind === 'TCPRoute' ? { ...object, apiVersion: 'gateway.networking.k8s.io/v1alpha2' } : object;
  prototype.validate.call(Object.assign(Object.create(prototype), versioned));
}

/** Undefined: taken. */
function theirVerdict(kind: GatewayKind, object: object): string | undefined {
  try {
    validate(kind, object);
    return undefined;
  } catch (error) {
    return errorText(error);
  }
}

/** Messages of the rules between fields, which only we know. */
function crossFieldMessages(schema: StructuralSchema): Set<string> {
  const found = new Set((schema[celKey] ?? []).map((rule) => rule.message));
  for (const child of [
    ...Object.values(schema.properties ?? {}),
    ...(schema.items === undefined ? [] : [schema.items]),
  ]) {
    for (const message of crossFieldMessages(child)) found.add(message);
  }
  return found;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Puts something else in one place of a tree, chosen by `at`. */
function spoilt(value: unknown, at: readonly number[], instead: unknown): unknown {
  const [first = 0, ...rest] = at;
  const keys = isObject(value) ? Object.keys(value) : Array.isArray(value) ? value.map((_, index) => index) : [];
  const key = keys[first % Math.max(keys.length, 1)];
  if (key === undefined || at.length === 0) return instead;
  if (Array.isArray(value)) return value.map((one, index) => (index === key ? spoilt(one, rest, instead) : one));
  if (!isObject(value)) return instead;
  const inner = spoilt(value[key], rest, instead);
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, one]) =>
      name !== key ? [[name, one]] : inner === undefined ? [] : [[name, inner]],
    ),
  );
}

const junk = fc.constantFrom<unknown>(
  undefined,
  null,
  -1,
  0,
  1.5,
  70_000,
  2_000_000,
  '',
  'A B',
  'x'.repeat(5000),
  '/',
  true,
  [],
  {},
  [1],
  { a: 1 },
);

for (const kind of [...routeKinds, 'ReferenceGrant'] as const) {
  const definition: KindDefinition = kinds[kind];
  const schema = objectSchema(definition);
  const spec = schema.properties?.['spec'] ?? {};
  const crossField = crossFieldMessages(schema);

  describe(kind, () => {
    test('both take the right samples', () => {
      for (const { title, object, error } of gatewaySamples.filter((one) => one.kind === kind)) {
        if (error === undefined) assert.equal(theirVerdict(kind, object), undefined, title);
      }
    });

    test('random objects that keep our schema are taken by both, rules between fields apart', () => {
      fc.assert(
        fc.property(arbitraryOf(spec), (value) => {
          const object = objectOf(kind, value);
          assert.equal(theirVerdict(kind, object), undefined);
          const ours = parseKind(kind, object);
          const errors = ours.ok ? [] : ours.error.filter((one) => !crossField.has(one.message) && one.path !== '');
          assert.deepEqual(errors, []);
        }),
        { numRuns: 300 },
      );
    });

    test('what they refuse, we refuse', () => {
      let refused = 0;
      fc.assert(
        fc.property(
          arbitraryOf(spec),
          fc.array(fc.nat(20), { minLength: 1, maxLength: 8 }),
          junk,
          (value, at, instead) => {
            const object = objectOf(kind, spoilt(value, at, instead));
            const theirs = theirVerdict(kind, object);
            if (theirs === undefined) return;
            refused++;
            assert.ok(!parseKind(kind, object).ok, `they say: ${theirs}`);
          },
        ),
        { numRuns: 1000 },
      );
      assert.ok(refused >= 100, `only ${refused} objects were refused`);
    });
  });
}
