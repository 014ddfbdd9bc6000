/** The rules that an API server has for structural schemas, as a table, and the CRDs held against it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { customResourceDefinition, objectSchema } from './crd.ts';
import { type KindDefinition, kindNames, kinds } from './kinds.ts';
import { celKey, listMapKeysKey, listTypeKey, mapOf } from './schema.ts';
import { type StructuralSchema, structural, withDefaults } from './structural.ts';

type Check = (schema: StructuralSchema, at: string) => string | undefined;

const types = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);

/**
 * kubectl reads YAML 1.1, where `on: x` sets a field named true (YAML 1.1, tag:yaml.org,2002:bool). Conditions have
 * such values by convention of the API, but nobody writes them by hand.
 */
const yamlBoolean = /^(y|yes|n|no|true|false|on|off)$/i;

/** KEP-1111 and the API server's validation of CustomResourceDefinition. */
const checks: Readonly<Record<string, Check>> = {
  'every node has a type': (schema) => (types.has(schema.type ?? '') ? undefined : `type ${schema.type}`),
  'properties and additionalProperties exclude each other': (schema) =>
    schema.properties !== undefined && schema.additionalProperties !== undefined ? 'has both' : undefined,
  'lists have items, others have none': (schema) =>
    (schema.type === 'array') === (schema.items !== undefined) ? undefined : 'items',
  'what is required exists': (schema) => schema.required?.find((name) => schema.properties?.[name] === undefined),
  'keys of a map list are required or have a default, and are scalars': (schema) =>
    schema[listTypeKey] !== 'map'
      ? undefined
      : schema[listMapKeysKey]?.find((key) => {
          const field = schema.items?.properties?.[key];
          const given = schema.items?.required?.includes(key) === true || field?.default !== undefined;
          return !given || field === undefined || field.type === 'object' || field.type === 'array';
        }),
  'a map list has keys': (schema) =>
    schema[listTypeKey] === 'map' && (schema[listMapKeysKey] ?? []).length === 0 ? 'no keys' : undefined,
  'a set has scalar items': (schema) =>
    schema[listTypeKey] === 'set' && ['object', 'array'].includes(schema.items?.type ?? '') ? 'items' : undefined,
  'lists are bounded': (schema) => (schema.type === 'array' && schema.maxItems === undefined ? 'maxItems' : undefined),
  'every list says how it merges': (schema) =>
    schema.type === 'array' && schema[listTypeKey] === undefined ? listTypeKey : undefined,
  'bounds are in order': (schema) =>
    (schema.minimum ?? 0) <= (schema.maximum ?? Number.MAX_VALUE) &&
    (schema.minLength ?? 0) <= (schema.maxLength ?? Number.MAX_VALUE) &&
    (schema.minItems ?? 0) <= (schema.maxItems ?? Number.MAX_VALUE)
      ? undefined
      : 'min beyond max',
  // RE2 knows neither look-around nor back-references, and takes no lone surrogates.
  'patterns mean the same in RE2': (schema) =>
    /\(\?[=!<]|\\[1-9]/.test(schema.pattern ?? '') ? schema.pattern : undefined,
  'no field or value is a boolean to YAML 1.1': (schema, at) =>
    at.endsWith('conditions[].status')
      ? undefined
      : [...Object.keys(schema.properties ?? {}), ...(schema.enum ?? [])]
          .map(String)
          .find((word) => yamlBoolean.test(word)),
  'messages of rules are one line of at most 2048 characters': (schema) =>
    schema[celKey]?.find((rule) => rule.message.includes('\n') || rule.message.length > 2048)?.message,
  'rules that belong to a field name one that exists': (schema) =>
    schema[celKey]?.find((rule) => {
      let at: StructuralSchema | undefined = schema;
      for (const part of rule.fieldPath?.split('.').slice(1) ?? []) at = at?.properties?.[part];
      return at === undefined;
    })?.fieldPath,
};

/** Only the root may speak of metadata, and defaults must be complete: rules run on them before they are filled in. */
function problems(schema: StructuralSchema, at: string): string[] {
  const own = Object.entries(checks).flatMap(([name, check]) => {
    const problem = check(schema, at);
    return problem === undefined ? [] : [`${at}: ${name} (${problem})`];
  });
  if (schema.default !== undefined) {
    try {
      assert.deepEqual(withDefaults(schema, schema.default), schema.default);
    } catch {
      own.push(`${at}: default is not complete`);
    }
  }
  const children = Object.entries(schema.properties ?? {}).flatMap(([name, child]) => problems(child, `${at}.${name}`));
  return [
    ...own,
    ...children,
    ...(schema.items === undefined ? [] : problems(schema.items, `${at}[]`)),
    ...(schema.additionalProperties === undefined ? [] : problems(schema.additionalProperties, `${at}{}`)),
  ];
}

/** Strings, lists and maps without bounds make the cost of a rule count as endless. */
function unbounded(schema: StructuralSchema, at: string): string[] {
  const open =
    (schema.type === 'string' &&
      schema.maxLength === undefined &&
      schema.enum === undefined &&
      schema.format === undefined) ||
    (schema.additionalProperties !== undefined && schema.maxProperties === undefined);
  return [
    ...(open ? [at] : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => unbounded(child, `${at}.${name}`)),
    ...(schema.items === undefined ? [] : unbounded(schema.items, `${at}[]`)),
  ];
}

for (const kind of kindNames) {
  const definition: KindDefinition = kinds[kind];
  describe(kind, () => {
    const schema = objectSchema(definition);

    test('is structural', () => assert.deepEqual(problems(schema, ''), []));

    test('bounds every string and map of its spec', () => {
      const spec = schema.properties?.['spec'];
      assert.ok(spec !== undefined);
      // The specification of the Gateway API gives header names to remove no length of their own.
      const allowed = /Modifier\.remove\[\]$/;
      assert.deepEqual(
        unbounded(spec, 'spec').filter((path) => !allowed.test(path)),
        [],
      );
    });

    test('describes every field', () => {
      const silent: string[] = [];
      const walk = (node: StructuralSchema, at: string): void => {
        for (const [name, child] of Object.entries(node.properties ?? {})) {
          if (child.description === undefined && `${at}.${name}` !== '.metadata') silent.push(`${at}.${name}`);
          walk(child.items ?? child, `${at}.${name}`);
        }
      };
      walk(schema, '');
      assert.deepEqual(silent, []);
    });

    test('has defaults that its own schema takes', () => {
      const spec = schema.properties?.['spec'];
      if (spec?.default !== undefined) assert.ok(definition.spec.safeParse(spec.default).success);
    });

    test('names its CRD as the API server asks', () => {
      const crd = customResourceDefinition(definition);
      assert.equal(crd.metadata.name, `${crd.spec.names.plural}.${crd.spec.group}`);
      assert.equal(crd.spec.versions.filter((version) => version.storage).length, 1);
      const approval = crd.metadata.annotations?.['api-approved.kubernetes.io'];
      // https://kubernetes.io: without it the API server refuses groups under k8s.io.
      assert.equal(approval?.startsWith('unapproved') ?? false, crd.spec.group.endsWith('.k8s.io'));
    });
  });
}

describe('the checks themselves', () => {
  const flawed: Readonly<Record<string, StructuralSchema>> = {
    'every node has a type': {},
    'properties and additionalProperties exclude each other': {
      type: 'object',
      properties: {},
      additionalProperties: { type: 'string' },
    },
    'lists have items, others have none': { type: 'array', maxItems: 1, [listTypeKey]: 'atomic' },
    'what is required exists': { type: 'object', required: ['a'] },
    'keys of a map list are required or have a default, and are scalars': {
      type: 'array',
      maxItems: 1,
      [listTypeKey]: 'map',
      [listMapKeysKey]: ['a'],
      items: { type: 'object', properties: { a: { type: 'string' } } },
    },
    'a map list has keys': { type: 'array', maxItems: 1, [listTypeKey]: 'map', items: { type: 'object' } },
    'a set has scalar items': { type: 'array', maxItems: 1, [listTypeKey]: 'set', items: { type: 'object' } },
    'lists are bounded': { type: 'array', [listTypeKey]: 'atomic', items: { type: 'string' } },
    'every list says how it merges': { type: 'array', maxItems: 1, items: { type: 'string' } },
    'bounds are in order': { type: 'integer', minimum: 2, maximum: 1 },
    'patterns mean the same in RE2': { type: 'string', pattern: '^(?!a)' },
    'no field or value is a boolean to YAML 1.1': { type: 'string', enum: ['Off'] },
    'messages of rules are one line of at most 2048 characters': {
      type: 'object',
      [celKey]: [{ rule: 'true', message: 'a\nb' }],
    },
    'rules that belong to a field name one that exists': {
      type: 'object',
      [celKey]: [{ rule: 'true', message: 'a', fieldPath: '.b' }],
    },
  };

  for (const name of Object.keys(checks)) {
    test(`finds: ${name}`, () => {
      const schema = flawed[name];
      assert.ok(schema !== undefined, 'no flawed schema for this check');
      assert.ok(problems(schema, '').some((problem) => problem.includes(name)));
    });
  }

  test('finds a default that is not complete', () => {
    const schema = { type: 'object', default: {}, properties: { a: { type: 'string', default: 'x' } } };
    assert.match(problems(schema, '').join(), /default is not complete/);
  });
});

describe('structural', () => {
  test('refuses what a CRD cannot say', () => {
    assert.throws(() => structural(z.union([z.string(), z.int()]), 'spec'), /a CRD cannot say anyOf/);
    assert.throws(
      () => structural(z.strictObject({ a: z.number().gt(1) }), 'spec'),
      /spec\.a: a CRD cannot say exclusiveMinimum/,
    );
  });

  test('keeps the meaning of lists of objects', () => {
    const list = structural(mapOf(z.strictObject({ name: z.string().max(3) }), 'name', { max: 2 }), 'list');
    assert.deepEqual(list, {
      type: 'array',
      maxItems: 2,
      [listTypeKey]: 'map',
      [listMapKeysKey]: ['name'],
      items: { type: 'object', required: ['name'], properties: { name: { type: 'string', maxLength: 3 } } },
    });
  });
});
