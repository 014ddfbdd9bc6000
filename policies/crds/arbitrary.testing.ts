/** Random objects that a structural schema takes, for property tests. */
import fc from 'fast-check';
import { listMapKeysKey, listTypeKey } from './schema.ts';
import type { StructuralSchema } from './structural.ts';

const listItemsMax = 3;

/** Values that meet often and that rules care about, by the last part of a path. */
const pools: Readonly<Record<string, readonly unknown[]>> = {
  name: ['a', 'b', 'default'],
  namespace: ['shop', 'load'],
  sectionName: ['http', 'grpc'],
  value: [
    '/',
    '/a',
    '/a/',
    'a',
    '//',
    '/./',
    '/../',
    '/%2f',
    '/%2F',
    '/a#b',
    '/..',
    '/.',
    '/a b',
    '/ü',
    '/%zz',
    '',
    '/a%20b',
  ],
  group: ['', 'weft.dev', 'gateway.networking.k8s.io'],
  ipBlocks: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1'],
  addresses: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1'],
  address: ['192.0.2.1', 'fd00::1', 'db.example.com', 'db'],
  hosts: ['api.example.com', '*.example.com', 'db.example.com'],
  paths: ['/a', '/a/*', '*.png', '*', '/a/{b}', '/{**}'],
  notPaths: ['/a', '/a/*', '/a/{b}'],
  remoteIpBlocks: ['10.0.0.0/8', 'fd00::/8'],
  notRemoteIpBlocks: ['10.0.0.0/8', 'fd00::/8'],
  notIpBlocks: ['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1'],
  numerator: [0, 1, 50, 101],
};

const durations = ['0s', '1ms', '250ms', '1s', '1000ms', '10s', '1m', '90s', '1h30m', '99999h'];

function strings(schema: StructuralSchema): fc.Arbitrary<string> {
  const { pattern, minLength = 0, maxLength = 64 } = schema;
  if (pattern === undefined) return fc.string({ minLength, maxLength: Math.min(maxLength, minLength + 16) });
  if (pattern.includes('h|m|s|ms')) return fc.constantFrom(...durations);
  return fc
    .stringMatching(new RegExp(pattern), { size: 'xsmall' })
    .filter((text) => text.length >= minLength && text.length <= maxLength);
}

function fits(schema: StructuralSchema, value: unknown): boolean {
  if (typeof value === 'string') {
    const { pattern, minLength = 0, maxLength = Number.POSITIVE_INFINITY } = schema;
    return (
      schema.type === 'string' &&
      value.length >= minLength &&
      value.length <= maxLength &&
      (pattern === undefined || new RegExp(pattern).test(value)) &&
      (schema.enum === undefined || schema.enum.includes(value))
    );
  }
  return schema.type === 'integer';
}

function lists(schema: StructuralSchema, items: StructuralSchema, name: string): fc.Arbitrary<unknown[]> {
  const minLength = schema.minItems ?? 0;
  const bounds = { minLength, maxLength: Math.max(minLength, Math.min(schema.maxItems ?? listItemsMax, listItemsMax)) };
  const item = arbitraryOf(items, name);
  const [key] = schema[listMapKeysKey] ?? [];
  if (schema[listTypeKey] === 'set') return fc.uniqueArray(item, bounds);
  if (key === undefined) return fc.array(item, bounds);
  return fc.uniqueArray(item, { ...bounds, selector: (one) => Reflect.get(Object(one), key) });
}

export function arbitraryOf(schema: StructuralSchema, name = ''): fc.Arbitrary<unknown> {
  const pool = (pools[name] ?? []).filter((value) => fits(schema, value));
  if (pool.length > 0) return fc.constantFrom(...pool);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'boolean':
      return fc.boolean();
    case 'integer': {
      const { minimum = 0, maximum = 1_000_000 } = schema;
      return fc.integer({ min: minimum, max: Math.min(maximum, 2_147_483_647) });
    }
    case 'number':
      return fc.integer({ min: Math.ceil(schema.minimum ?? 0), max: Math.floor(schema.maximum ?? 100) });
    case 'string':
      return strings(schema);
    case 'array':
      return lists(schema, schema.items ?? {}, name);
    case 'object': {
      if (schema.additionalProperties !== undefined)
        return fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('a', 'b'));
      const fields = Object.entries(schema.properties ?? {}).map(
        ([key, child]) => [key, arbitraryOf(child, key)] as const,
      );
      return fc.record(Object.fromEntries(fields), {
        requiredKeys: [...(schema.required ?? [])],
        noNullPrototype: true,
      });
    }
    default:
      throw new Error(`no arbitrary for type ${schema.type}`);
  }
}
