import type { ASTNode } from '@marcbachmann/cel-js';
import { emptyNode, type SchemaNode } from './node.ts';

/**
 * Finds a field that a rule selects but the schema does not have. The library sees `self` as dynamic, so that without this a typing error in
 * a field name would only show when the rule runs.
 */
type Scope = ReadonlyMap<string, SchemaNode | undefined>;
const openNode: SchemaNode = { ...emptyNode, preserveUnknown: true };
const iterating = new Set(['all', 'exists', 'exists_one', 'existsOne', 'filter', 'map']);

interface Found {
  readonly schema: SchemaNode | undefined;
  readonly unknown: string | undefined;
}

const unescapeName = (name: string): string =>
  name
    .replaceAll('__dot__', '.')
    .replaceAll('__dash__', '-')
    .replaceAll('__slash__', '/')
    .replaceAll('__underscores__', '__')
    .replace(/^__([a-z]+)__$/, '$1');

export function unknownField(ast: ASTNode, node: SchemaNode, isResource: boolean): string | undefined {
  const root: SchemaNode = isResource
    ? {
        ...node,
        properties: {
          ...node.properties,
          apiVersion: { ...emptyNode, type: 'string' },
          kind: { ...emptyNode, type: 'string' },
          metadata: openNode,
        },
      }
    : node;
  return visit(ast, new Map([['self', root]]).set('oldSelf', root)).unknown;
}

function select(schema: SchemaNode | undefined, name: string): Found {
  if (schema === undefined || schema.preserveUnknown) return { schema: undefined, unknown: undefined };
  if (schema.embeddedResource && ['apiVersion', 'kind', 'metadata'].includes(name))
    return { schema: undefined, unknown: undefined };
  const property = schema.properties?.[unescapeName(name)] ?? schema.properties?.[name];
  if (property !== undefined) return { schema: property, unknown: undefined };
  if (schema.additional === true) return { schema: undefined, unknown: undefined };
  if (schema.additional !== undefined) return { schema: schema.additional, unknown: undefined };
  if (schema.type === 'object' && schema.properties !== undefined) return { schema: undefined, unknown: name };
  return { schema: undefined, unknown: undefined };
}

const elementOf = (schema: SchemaNode | undefined): SchemaNode | undefined =>
  schema?.type === 'array' ? schema.items : undefined;

function firstUnknown(nodes: readonly ASTNode[], scope: Scope): Found {
  for (const node of nodes) {
    const { unknown } = visit(node, scope);
    if (unknown !== undefined) return { schema: undefined, unknown };
  }
  return { schema: undefined, unknown: undefined };
}

function visitCall(receiver: ASTNode, name: string, args: readonly ASTNode[], scope: Scope): Found {
  const target = visit(receiver, scope);
  if (target.unknown !== undefined) return target;
  const variable = args[0];
  if (!iterating.has(name) || variable?.op !== 'id') return firstUnknown(args, scope);
  const inner = new Map(scope).set(variable.args, elementOf(target.schema));
  const second = args[1];
  // The two-variable comprehensions bind index and value.
  if (args.length === 3 && second?.op === 'id' && name !== 'map') inner.set(second.args, elementOf(target.schema));
  const found = firstUnknown(args.slice(1), inner);
  if (found.unknown !== undefined) return found;
  return { schema: name === 'filter' ? target.schema : undefined, unknown: undefined };
}

/** cel.bind(name, value, body). */
function visitBind(args: readonly ASTNode[], scope: Scope): Found {
  const [variable, value, body] = args;
  if (variable?.op !== 'id' || value === undefined || body === undefined) return firstUnknown(args, scope);
  const bound = visit(value, scope);
  return bound.unknown === undefined ? visit(body, new Map(scope).set(variable.args, bound.schema)) : bound;
}

function visit(node: ASTNode, scope: Scope): Found {
  switch (node.op) {
    case 'value':
      return { schema: undefined, unknown: undefined };
    case 'id':
      return { schema: scope.get(node.args), unknown: undefined };
    case '.':
    case '.?': {
      const target = visit(node.args[0], scope);
      return target.unknown === undefined ? select(target.schema, node.args[1]) : target;
    }
    case '[]':
    case '[?]': {
      const target = visit(node.args[0], scope);
      if (target.unknown !== undefined) return target;
      const index = visit(node.args[1], scope);
      return { schema: elementOf(target.schema), unknown: index.unknown };
    }
    case 'call': {
      return firstUnknown(node.args[1], scope);
    }
    case 'rcall': {
      const [name, receiver, args] = node.args;
      if (receiver.op === 'id' && receiver.args === 'cel') return visitBind(args, scope);
      return visitCall(receiver, name, args, scope);
    }
    case 'list':
      return firstUnknown(node.args, scope);
    case 'map':
      return firstUnknown(node.args.flat(), scope);
    case '!_':
    case '-_':
      return firstUnknown([node.args], scope);
    case '?:': {
      const [condition, yes, no] = node.args;
      const found = firstUnknown([condition, yes, no], scope);
      return found.unknown === undefined ? visit(yes, scope) : found;
    }
    default:
      return firstUnknown([node.args[0], node.args[1]], scope);
  }
}
