/** Nothing is accepted and ignored: every field of our kinds has to change something of what is sent or signed. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { objectSchema } from '@weft/policies/crds/crd';
import { type KindDefinition, kinds, parseKind, weftKinds } from '@weft/policies/crds/kinds';
import { concurrencyOf } from '@weft/policies/crds/mesh-defaults';
import { describeErrors } from '@weft/policies/crds/parse';
import type { StructuralSchema } from '@weft/policies/crds/structural';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { announceMs, certificateTtlMs } from '../ca/ttl.ts';
import { objectKey } from '../index/objects.ts';
import { ClusterState } from '../index/state.ts';
import { parseObjects } from '../static/objects.ts';
import { clusterNamesOf, routeNamesOf } from './external/status.ts';
import { fieldSamples, fieldWorld } from './field-samples.testing.ts';
import { fieldKeySets } from './field-samples-authentication.testing.ts';
import { outboundName } from './names.ts';
import { translateResource } from './resource.ts';

type Kind = keyof typeof fieldSamples;

interface Leaf {
  readonly path: string;
  readonly schema: StructuralSchema;
}

/** `a.b[].c` and `a.labels{}`: every place that holds a value and not more structure. */
function* leaves(schema: StructuralSchema | undefined, path = ''): Generator<Leaf> {
  if (schema === undefined) return;
  const { properties, items, additionalProperties } = schema;
  for (const [name, child] of Object.entries(properties ?? {}))
    yield* leaves(child, path === '' ? name : `${path}.${name}`);
  yield* leaves(items, `${path}[]`);
  yield* leaves(additionalProperties, `${path}{}`);
  if ((properties ?? items ?? additionalProperties) === undefined) yield { path, schema };
}

type Json = Record<string, unknown>;
const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

/** Changes one place, the first of each list on the way; undefined takes the field away. */
function withField(template: unknown, path: string, value: unknown): unknown {
  const [, name, list, rest] = /^([A-Za-z][A-Za-z0-9]*)(\[\]|\{\})?\.?(.*)$/.exec(path) ?? [];
  assert.ok(name !== undefined && rest !== undefined, path);
  const object = isObject(template) ? template : {};
  const at = object[name];
  const inner = (before: unknown): unknown => (rest === '' ? value : withField(before, rest, value));
  if (list === '[]') return { ...object, [name]: [inner(Array.isArray(at) ? at[0] : undefined)] };
  if (list === '{}') return { ...object, [name]: { app: value } };
  const { [name]: _, ...others } = object;
  const made = inner(at);
  return made === undefined ? others : { ...others, [name]: made };
}

const metadata = (kind: Kind): object =>
  kind === 'Mesh' ? { name: 'default' } : { name: 'sample', namespace: 'shop' };

const fieldTrust = { ownAnchorsPem: 'our anchors', federated: [], revoked: [] };

/** All that the mesh makes of the world with this object in it. */
function outcome(kind: Kind, spec: unknown): string {
  const state = new ClusterState('shop');
  const world = parseObjects(fieldWorld);
  assert.ok(world.ok, world.ok ? '' : world.error);
  for (const object of world.value) state.apply(object);
  const parsed = parseKind(kind, { kind, metadata: metadata(kind), spec });
  if (!parsed.ok) assert.fail(`${JSON.stringify(spec)}: ${describeErrors(parsed.error)}`);
  state.apply(parsed.value);
  const trustDomain = parseTrustDomain('cluster.local');
  assert.ok(trustDomain.ok);
  const context = {
    state,
    trustDomain: trustDomain.value,
    isDrained: () => false,
    keySets: fieldKeySets,
    trust: fieldTrust,
  };
  const anyone = { namespace: 'shop', podKey: '', features: { http2: false } };
  const secrets = TRUST_SECRETS.map((name) => translateResource(context, 'secret', name, anyone));
  const resources: unknown[] = [
    secrets,
    // Bundles are fetched by the control plane itself.
    state.mesh?.spec.trust.federation,
    certificateTtlMs(state.mesh),
    announceMs(state.mesh),
    concurrencyOf(state.mesh),
  ];
  for (const namespace of ['shop', 'desk']) {
    for (const service of state.services.values()) {
      for (const { port } of service.ports) {
        const name = outboundName({ namespace: service.metadata.namespace, service: service.metadata.name, port });
        const client = { namespace, podKey: '', features: { http2: false } };
        for (const one of ['route', 'cluster'] as const) resources.push(translateResource(context, one, name, client));
      }
    }
  }
  for (const external of state.externalServices.values()) {
    for (const namespace of ['shop', 'desk']) {
      const client = { namespace, podKey: '', features: { http2: false } };
      for (const name of clusterNamesOf(external)) resources.push(translateResource(context, 'cluster', name, client));
      for (const name of routeNamesOf(external)) resources.push(translateResource(context, 'route', name, client));
    }
  }
  for (const pod of state.pods.values()) {
    const client = { namespace: 'shop', podKey: objectKey(pod.metadata), features: { http2: false } };
    for (const name of ['inbound', 'outbound']) resources.push(translateResource(context, 'listener', name, client));
  }
  return JSON.stringify(resources);
}

for (const kind of weftKinds) {
  describe(kind, () => {
    const definition: KindDefinition = kinds[kind];
    const all = [...leaves(objectSchema(definition).properties?.['spec'])];
    const { template, fields } = fieldSamples[kind];

    test('samples are of fields that exist', () => {
      const known = new Set(all.map((leaf) => leaf.path));
      assert.deepEqual(
        Object.keys(fields).filter((path) => !known.has(path)),
        [],
      );
    });

    for (const { path, schema } of all) {
      test(path, () => {
        const sample = fields[path] ?? {};
        if (sample.refused !== undefined) {
          const spec = withField(template, path, sample.refused);
          assert.equal(parseKind(kind, { kind, metadata: metadata(kind), spec }).ok, false);
          return;
        }
        const values = sample.values ?? schema.enum ?? (schema.type === 'boolean' ? [true, false] : []);
        const base = (sample.without ?? []).reduce<unknown>(
          (spec, other) => withField(spec, other, undefined),
          template,
        );
        const specs = sample.specs ?? values.map((value) => withField(base, path, value));
        assert.ok(specs.length >= 2, 'a new field: add two values of it to field-samples.testing.ts');
        const outcomes = new Set(specs.map((spec) => outcome(kind, spec)));
        assert.equal(outcomes.size, specs.length, 'values of the field that make no difference');
      });
    }
  });
}
