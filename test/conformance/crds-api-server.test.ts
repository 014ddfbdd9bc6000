/**
 * The custom resource definitions as an API server reads them: what is right gets in, and of what is wrong all that a
 * schema and its CEL rules can see stays out. With WEFT_TEST_KUBE_BIN that server is a kube-apiserver.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseKind } from '@weft/policies/crds/kinds';
import { evaluateRules, rulesOf } from '../../policies/crds/cel.testing.ts';
import type { Sample } from '../../policies/crds/corpus.testing.ts';
import { weftSamples } from '../../policies/crds/corpus-weft.testing.ts';
import { objectSchema } from '../../policies/crds/crd.ts';
import { gatewaySamples } from '../../policies/crds/gateway/corpus-gateway.testing.ts';
import { type KindDefinition, type KindName, kindNames, kinds } from '../../policies/crds/kinds.ts';
import { withDefaults } from '../../policies/crds/structural.ts';
import { type ClusterRig, startClusterRig } from '../integration/control-plane-rig.fixture.ts';

const samples: readonly Sample[] = [...weftSamples, ...gatewaySamples];

/** Messages of the CEL rules that an object breaks; none if its schema refuses it before, or admission alone after. */
function brokenRules({ kind, object }: Sample): readonly string[] {
  const definition: KindDefinition = kinds[kind];
  const schema = objectSchema(definition);
  const known = new Set([...rulesOf(schema)].map(({ rule }) => rule.message));
  const parsed = parseKind(kind, object);
  if (parsed.ok || parsed.error.some((error) => !known.has(error.message))) return [];
  return [...evaluateRules(schema, withDefaults(schema, object))]
    .filter(({ holds }) => !holds)
    .map(({ rule }) => rule.message);
}

describe('custom resource definitions on an API server', () => {
  let rig: ClusterRig;
  before(async () => {
    rig = await startClusterRig();
  });
  after(() => rig?.stop());

  const tryOut = (kind: KindName, object: unknown) => {
    const { group, plural, scope, version }: KindDefinition = kinds[kind];
    const apiVersion =
      typeof object === 'object' && object !== null && 'apiVersion' in object ? object.apiVersion : undefined;
    const path = `/apis/${typeof apiVersion === 'string' ? apiVersion : `${group}/${version}`}`;
    const where = scope === 'Namespaced' ? '/namespaces/shop' : '';
    return rig.admin.create(`${path}${where}/${plural}?dryRun=All&fieldValidation=Strict`, object);
  };

  for (const kind of kindNames) {
    test(kind, async () => {
      let seen = 0;
      for (const sample of samples.filter((one) => one.kind === kind)) {
        seen++;
        const answer = await tryOut(kind, sample.object);
        if (sample.error === undefined) {
          assert.ok(answer.ok, `${sample.title}: ${answer.ok ? '' : answer.error.message}`);
          continue;
        }
        for (const message of brokenRules(sample)) {
          assert.ok(!answer.ok, `${sample.title}: got in`);
          assert.ok(answer.error.message.includes(message), `${sample.title}: ${answer.error.message}`);
        }
      }
      assert.ok(seen > 2, `${seen} samples`);
    });
  }
});
