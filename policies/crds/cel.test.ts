/** Every cross-field rule exists twice, in CEL and in TypeScript; both must give the same verdict on everything. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { arbitraryOf } from './arbitrary.testing.ts';
import { evaluateRules, rulesOf } from './cel.testing.ts';
import { objectOf, type Sample } from './corpus.testing.ts';
import { weftSamples } from './corpus-weft.testing.ts';
import { objectSchema } from './crd.ts';
import { gatewaySamples } from './gateway/corpus-gateway.testing.ts';
import { type KindDefinition, type KindName, kindNames, kinds, parseKind } from './kinds.ts';
import { type StructuralSchema, withDefaults } from './structural.ts';

const samples: readonly Sample[] = [...weftSamples, ...gatewaySamples];
const schemas = new Map<KindName, StructuralSchema>(
  kindNames.map((name): [KindName, StructuralSchema] => {
    const definition: KindDefinition = kinds[name];
    return [name, objectSchema(definition)];
  }),
);

function schemaOf(kind: KindName): StructuralSchema {
  const schema = schemas.get(kind);
  assert.ok(schema !== undefined);
  return schema;
}

const messagesOfCel = (kind: KindName): ReadonlySet<string> =>
  new Set([...rulesOf(schemaOf(kind))].map(({ rule }) => rule.message));

/** Messages of broken rules, as the API server and as admission would give them; none if it breaks the schema itself. */
function verdicts(kind: KindName, object: unknown): { cel: string[]; zod: string[]; structural: boolean } {
  const known = messagesOfCel(kind);
  const result = parseKind(kind, object);
  const errors = result.ok ? [] : result.error;
  const zod = errors.map((error) => error.message).filter((message) => known.has(message));
  const schema = schemaOf(kind);
  if (zod.length < errors.length) return { cel: [], zod: [], structural: false };
  const cel = [...evaluateRules(schema, withDefaults(schema, object))]
    .filter((one) => !one.holds)
    .map((one) => one.rule.message);
  return { cel: cel.sort(), zod: zod.sort(), structural: true };
}

/** What the structural schema refuses never reaches CEL. */
const reachesCel = (sample: Sample): boolean =>
  sample.error === undefined || verdicts(sample.kind, sample.object).structural;

for (const kind of kindNames) {
  describe(kind, () => {
    test('samples: CEL and TypeScript break the same rules', () => {
      for (const sample of samples.filter((one) => one.kind === kind && reachesCel(one))) {
        const { cel, zod } = verdicts(kind, sample.object);
        assert.deepEqual(cel, zod, sample.title);
      }
    });

    test('random objects: CEL and TypeScript break the same rules', () => {
      const spec = schemaOf(kind).properties?.['spec'];
      assert.ok(spec !== undefined);
      let compared = 0;
      fc.assert(
        fc.property(arbitraryOf(spec), (value) => {
          const { cel, zod, structural } = verdicts(kind, objectOf(kind, value));
          // With more than twenty errors the list is cut.
          if (!structural || cel.length > 20) return;
          compared++;
          assert.deepEqual(cel, zod);
        }),
        { numRuns: 300 },
      );
      assert.ok(compared >= 50, `only ${compared} objects could be compared`);
    });

    test('each CEL rule is kept by one sample and broken by another', () => {
      const kept = new Set<string>();
      const broken = new Set<string>();
      for (const sample of samples.filter((one) => one.kind === kind && reachesCel(one))) {
        for (const { at, rule, holds } of evaluateRules(schemaOf(kind), withDefaults(schemaOf(kind), sample.object))) {
          (holds ? kept : broken).add(`${at}: ${rule.rule}`);
        }
      }
      for (const { at, rule } of rulesOf(schemaOf(kind))) {
        const key = `${at}: ${rule.rule}`;
        assert.ok(kept.has(key), `no sample keeps ${key}`);
        assert.ok(broken.has(key), `no sample breaks ${key}`);
      }
    });
  });
}
