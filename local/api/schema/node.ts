import { asArray, asNumber, asObject, asObjects, asString, asStrings, type Json, type JsonObject } from '../json.ts';

/** A structural schema: CustomResourceDefinitions and built-in kinds are walked through the same nodes. */
export interface ValidationRule {
  readonly rule: string;
  readonly message: string;
  readonly messageExpression: string;
  readonly reason: string;
  readonly fieldPath: string;
  readonly optionalOldSelf: boolean;
}

export interface SchemaNode {
  readonly type: '' | 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean';
  readonly format: string;
  readonly description: string;
  readonly nullable: boolean;
  readonly properties: Readonly<Record<string, SchemaNode>> | undefined;
  /** `true` where any value is taken. */
  readonly additional: SchemaNode | true | undefined;
  readonly items: SchemaNode | undefined;
  readonly required: readonly string[];
  readonly enumeration: readonly Json[] | undefined;
  readonly pattern: RegExp | undefined;
  readonly limits: SchemaLimits;
  readonly defaultValue: Json | undefined;
  readonly preserveUnknown: boolean;
  readonly embeddedResource: boolean;
  readonly intOrString: boolean;
  readonly listType: '' | 'atomic' | 'set' | 'map';
  readonly listMapKeys: readonly string[];
  /** Two items may have one key: built-in kinds say so field by field in their own validation. */
  readonly keysRepeat: boolean;
  readonly atomicMap: boolean;
  readonly rules: readonly ValidationRule[];
  readonly allOf: readonly SchemaNode[];
  readonly anyOf: readonly SchemaNode[];
  readonly oneOf: readonly SchemaNode[];
  readonly not: SchemaNode | undefined;
  /** Strategic merge patch, built-in kinds only. */
  readonly patchMergeKey: string;
  readonly patchStrategy: string;
  /** Name of the built-in type, for OpenAPI references. */
  readonly typeName: string;
}

interface SchemaLimits {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
}

export const emptyNode: SchemaNode = {
  type: '',
  format: '',
  description: '',
  nullable: false,
  properties: undefined,
  additional: undefined,
  items: undefined,
  required: [],
  enumeration: undefined,
  pattern: undefined,
  limits: {},
  defaultValue: undefined,
  preserveUnknown: false,
  embeddedResource: false,
  intOrString: false,
  listType: '',
  listMapKeys: [],
  keysRepeat: false,
  atomicMap: false,
  rules: [],
  allOf: [],
  anyOf: [],
  oneOf: [],
  not: undefined,
  patchMergeKey: '',
  patchStrategy: '',
  typeName: '',
};

const limitNames = [
  'minimum',
  'maximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'minProperties',
  'maxProperties',
] as const;

function limitsOf(schema: JsonObject): SchemaLimits {
  const limits: Record<string, number | boolean> = {};
  for (const name of limitNames) {
    const value = asNumber(schema[name]);
    if (value !== undefined) limits[name] = value;
  }
  for (const name of ['exclusiveMinimum', 'exclusiveMaximum', 'uniqueItems'])
    if (schema[name] === true) limits[name] = true;
  return limits;
}

function rulesOf(schema: JsonObject): ValidationRule[] {
  return asObjects(schema['x-kubernetes-validations']).map((rule) => ({
    rule: asString(rule['rule']),
    message: asString(rule['message']),
    messageExpression: asString(rule['messageExpression']),
    reason: asString(rule['reason']),
    fieldPath: asString(rule['fieldPath']),
    optionalOldSelf: rule['optionalOldSelf'] === true,
  }));
}

function typeOf(schema: JsonObject): SchemaNode['type'] {
  const type = asString(schema['type']);
  switch (type) {
    case 'object':
    case 'array':
    case 'string':
    case 'integer':
    case 'number':
    case 'boolean':
      return type;
    default:
      return '';
  }
}

/** Go's RE2 and JavaScript agree on what schemas use, but for the flag and the two anchors of a text. */
function compilePattern(pattern: string): RegExp | undefined {
  try {
    return new RegExp(
      pattern
        .replace(/^\(\?i\)/, '')
        .replace(/\\z$/, '$')
        .replace(/^\\A/, '^'),
      pattern.startsWith('(?i)') ? 'iu' : 'u',
    );
  } catch {
    try {
      return new RegExp(pattern);
    } catch {
      return undefined;
    }
  }
}

function listTypeOf(schema: JsonObject): SchemaNode['listType'] {
  const listType = asString(schema['x-kubernetes-list-type']);
  return listType === 'set' || listType === 'map' || listType === 'atomic' ? listType : '';
}

/** Without a prototype, so that a field called `constructor` is not found where there is none. */
export function byName(entries: Iterable<[string, SchemaNode]>): Record<string, SchemaNode> {
  const out: Record<string, SchemaNode> = Object.create(null);
  for (const [name, node] of entries) out[name] = node;
  return out;
}

/** Reads JSONSchemaProps of apiextensions.k8s.io/v1 into a node. */
export function readSchema(schema: JsonObject): SchemaNode {
  const properties = asObject(schema['properties']);
  const additional = schema['additionalProperties'];
  const items = asObject(schema['items']);
  const not = asObject(schema['not']);
  const pattern = asString(schema['pattern']);
  const childrenOf = (key: string): SchemaNode[] => asObjects(schema[key]).map(readSchema);
  return {
    ...emptyNode,
    type: typeOf(schema),
    format: asString(schema['format']),
    description: asString(schema['description']),
    nullable: schema['nullable'] === true,
    properties:
      properties === undefined
        ? undefined
        : byName(Object.entries(properties).map(([name, child]) => [name, readSchema(asObject(child) ?? {})])),
    additional:
      additional === true
        ? true
        : asObject(additional) === undefined
          ? undefined
          : readSchema(asObject(additional) ?? {}),
    items: items === undefined ? undefined : readSchema(items),
    required: asStrings(schema['required']),
    enumeration: schema['enum'] === undefined ? undefined : asArray(schema['enum']),
    pattern: pattern === '' ? undefined : compilePattern(pattern),
    limits: limitsOf(schema),
    defaultValue: schema['default'],
    preserveUnknown: schema['x-kubernetes-preserve-unknown-fields'] === true,
    embeddedResource: schema['x-kubernetes-embedded-resource'] === true,
    intOrString: schema['x-kubernetes-int-or-string'] === true,
    listType: listTypeOf(schema),
    listMapKeys: asStrings(schema['x-kubernetes-list-map-keys']),
    atomicMap: asString(schema['x-kubernetes-map-type']) === 'atomic',
    rules: rulesOf(schema),
    allOf: childrenOf('allOf'),
    anyOf: childrenOf('anyOf'),
    oneOf: childrenOf('oneOf'),
    not: not === undefined ? undefined : readSchema(not),
  };
}
