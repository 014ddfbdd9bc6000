/**
 * From a zod schema to a structural schema (KEP-1111): the subset of OpenAPI v3 that the API server takes in a
 * CustomResourceDefinition. Whatever has no counterpart there is refused here, when files are generated, and not by
 * the API server of a user.
 */
import { z } from 'zod';
import { type CelRule, celKey, listMapKeysKey, listTypeKey, openKey } from './schema.ts';

export interface StructuralSchema {
  readonly type?: string;
  readonly description?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly [openKey]?: true;
  readonly [celKey]?: readonly CelRule[];
  readonly [listTypeKey]?: string;
  readonly [listMapKeysKey]?: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

/** Copied as they are; the order is the one in which they are printed. */
const copied = [
  'description',
  'type',
  'format',
  'default',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  openKey,
  celKey,
  listTypeKey,
  listMapKeysKey,
] as const;

/** Said by zod, and either implied in a CRD (unknown fields are pruned) or checked at admission only. */
const dropped: ReadonlySet<string> = new Set([
  '$schema',
  'additionalProperties',
  'propertyNames',
  'items',
  'properties',
]);

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function convert(node: unknown, path: string): StructuralSchema {
  if (!isObject(node)) throw new Error(`${path}: not a schema`);
  const known: ReadonlySet<string> = new Set(copied);
  for (const key of Object.keys(node)) {
    if (!known.has(key) && !dropped.has(key)) throw new Error(`${path}: a CRD cannot say ${key}`);
  }
  const out: Record<string, unknown> = {};
  for (const key of copied) {
    const value = node[key];
    if (value === undefined || (Array.isArray(value) && value.length === 0 && key !== 'default')) continue;
    out[key] = value;
  }
  // zod bounds every integer by what a double holds; int32 and int64 say the same more shortly.
  if (out['type'] === 'integer' || (out['type'] === 'number' && isIntegerEnum(out['enum']))) {
    out['type'] = 'integer';
    if (out['maximum'] === Number.MAX_SAFE_INTEGER) delete out['maximum'];
    if (out['minimum'] === Number.MIN_SAFE_INTEGER) delete out['minimum'];
    out['format'] ??= 'int32';
  }
  if (isObject(node['properties'])) {
    out['properties'] = Object.fromEntries(
      Object.entries(node['properties']).map(([name, child]) => [name, convert(child, `${path}.${name}`)]),
    );
  }
  if (node['items'] !== undefined) out['items'] = convert(node['items'], `${path}[]`);
  const additional = node['additionalProperties'];
  if (isObject(additional) && Object.keys(additional).length > 0) {
    out['additionalProperties'] = convert(additional, `${path}{}`);
  }
  return out;
}

/** Fills a value with the defaults of its schema, as the API server does before it runs CEL. */
export function withDefaults(schema: StructuralSchema, value: unknown): unknown {
  const { items, properties, additionalProperties } = schema;
  if (Array.isArray(value)) return items === undefined ? value : value.map((one) => withDefaults(items, one));
  if (!isObject(value)) return value;
  const out: Record<string, unknown> = { ...value };
  for (const [name, child] of Object.entries(properties ?? {})) {
    if (out[name] === undefined && child.default !== undefined) out[name] = child.default;
    if (out[name] !== undefined) out[name] = withDefaults(child, out[name]);
  }
  if (additionalProperties !== undefined) {
    for (const [name, one] of Object.entries(out)) out[name] = withDefaults(additionalProperties, one);
  }
  return out;
}

/** The API server tries each default against the rules beside it, before it fills in what lies within. */
function completed(schema: StructuralSchema): StructuralSchema {
  const { items, properties, additionalProperties } = schema;
  const inner: StructuralSchema = {
    ...schema,
    ...(items === undefined ? {} : { items: completed(items) }),
    ...(additionalProperties === undefined ? {} : { additionalProperties: completed(additionalProperties) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(Object.entries(properties).map(([name, child]) => [name, completed(child)])),
        }),
  };
  return inner.default === undefined ? inner : { ...inner, default: withDefaults(inner, inner.default) };
}

const isIntegerEnum = (values: unknown): boolean =>
  Array.isArray(values) && values.every((value) => Number.isInteger(value));

export function structural(schema: z.ZodType, path: string): StructuralSchema {
  // Input: a field with a default is not required. Recursive schemas would become references, which no CRD may have.
  return completed(convert(z.toJSONSchema(schema, { io: 'input', cycles: 'throw', reused: 'inline' }), path));
}
