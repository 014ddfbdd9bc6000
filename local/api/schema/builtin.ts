import types from './builtin-types.json' with { type: 'json' };
import { mergeKeys } from './merge-keys.ts';
import { byName, emptyNode, type SchemaNode } from './node.ts';

/** Schema nodes of the built-in kinds, made on first use from the generated table of types. */
type Shape = Readonly<Record<string, string | readonly string[]>>;
const shapes = new Map<string, Shape>(Object.entries(types));
const nodes = new Map<string, SchemaNode>();
const preserving: SchemaNode = { ...emptyNode, preserveUnknown: true };

const scalars: Readonly<Record<string, SchemaNode>> = {
  string: { ...emptyNode, type: 'string' },
  bytes: { ...emptyNode, type: 'string', format: 'byte' },
  // Text only: metav1.Time refuses anything else, and "" is not a time.
  time: { ...emptyNode, type: 'string', format: 'date-time', nullable: true },
  integer: { ...emptyNode, type: 'integer' },
  number: { ...emptyNode, type: 'number' },
  boolean: { ...emptyNode, type: 'boolean' },
  intOrString: { ...emptyNode, intOrString: true },
  quantity: { ...emptyNode, format: 'quantity' },
  any: preserving,
};

function nodeOf(type: string): SchemaNode {
  if (type.startsWith('[]')) return { ...emptyNode, type: 'array', items: nodeOf(type.slice(2)) };
  if (type.startsWith('{}')) return { ...emptyNode, type: 'object', additional: nodeOf(type.slice(2)) };
  return scalars[type] ?? builtinType(type);
}

/** Go clients send empty lists as nothing, and reported state may be partial: only what a user has to say is required. */
const reported = /Status|Condition|ContainerState|NodeSystemInfo|ContainerImage|ObjectReference|ManagedFields/;

function isEnforced(type: string, field: Shape[string] | undefined): boolean {
  return (
    !reported.test(type) &&
    typeof field === 'string' &&
    !field.startsWith('[]') &&
    !field.startsWith('{}') &&
    field !== 'V1ObjectMeta'
  );
}

export function builtinType(name: string): SchemaNode {
  const known = nodes.get(name);
  if (known !== undefined) return known;
  const shape = shapes.get(name);
  if (shape === undefined) return preserving;
  const properties = byName([]);
  const required = shape['!'];
  const node: SchemaNode = {
    ...emptyNode,
    type: 'object',
    typeName: name,
    properties,
    required: Array.isArray(required) ? required.filter((field) => isEnforced(name, shape[field])) : [],
  };
  // Registered before its fields are read: JSONSchemaProps contains itself.
  nodes.set(name, node);
  for (const [field, type] of Object.entries(shape)) {
    if (field === '!' || typeof type !== 'string') continue;
    properties[field] = { ...nodeOf(type), ...mergeHints(name, field) };
  }
  return node;
}

function mergeHints(type: string, field: string): Partial<SchemaNode> {
  const hint = mergeKeys[`${type}.${field}`];
  if (hint === undefined) return {};
  const listMap = hint.listKeys === undefined ? {} : { listType: 'map' as const, listMapKeys: hint.listKeys };
  return {
    keysRepeat: true,
    patchMergeKey: hint.mergeKey ?? '',
    patchStrategy: hint.strategy ?? 'merge',
    ...(hint.set === true ? { listType: 'set' as const } : listMap),
    ...(hint.atomic === true ? { atomicMap: true, patchStrategy: '' } : {}),
  };
}
