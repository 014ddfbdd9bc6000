import { clone, type JsonObject } from '../json.ts';
import type { ResourceType } from '../kinds/resource.ts';
import { builtinType } from '../schema/builtin.ts';
import type { SchemaNode } from '../schema/node.ts';

/** Writes schema nodes as OpenAPI v3: built-in types as named components, those of definitions in place. */
const reference = (typeName: string): string => `io.k8s.${typeName}`;

export class SchemaWriter {
  readonly schemas: JsonObject = {};

  static nameOf(type: ResourceType): string {
    const group = type.group === '' ? 'core' : type.group.split('.').reverse().join('.');
    return type.custom
      ? `${group}.${type.version}.${type.kind}`
      : `io.k8s.api.${type.group.split('.')[0] || 'core'}.${type.version}.${type.kind}`;
  }

  addKind(type: ResourceType): void {
    const properties = this.#properties(type.schema);
    const gvk = [{ group: type.group, version: type.version, kind: type.kind }];
    const text = { type: 'string' };
    this.schemas[SchemaWriter.nameOf(type)] = {
      ...this.#inline(type.schema),
      type: 'object',
      properties: { apiVersion: text, kind: text, ...properties, metadata: this.write(builtinType('V1ObjectMeta')) },
      'x-kubernetes-group-version-kind': gvk,
    };
  }

  #properties(node: SchemaNode): JsonObject {
    return Object.fromEntries(Object.entries(node.properties ?? {}).map(([name, child]) => [name, this.write(child)]));
  }

  write(node: SchemaNode): JsonObject {
    if (node.typeName === '') return this.#inline(node);
    const name = reference(node.typeName);
    if (this.schemas[name] === undefined) {
      // Named before it is written: types may contain themselves.
      this.schemas[name] = {};
      this.schemas[name] = this.#inline({ ...node, patchMergeKey: '', patchStrategy: '', listType: '' });
    }
    // A reference with siblings is said with allOf, as the upstream documents do.
    return { allOf: [{ $ref: `#/components/schemas/${name}` }], ...hints(node), default: {} };
  }

  #inline(node: SchemaNode): JsonObject {
    const out: JsonObject = { ...hints(node) };
    if (node.description !== '') out['description'] = node.description;
    if (node.type !== '') out['type'] = node.type;
    else if (node.format === 'quantity') out['oneOf'] = [{ type: 'string' }, { type: 'number' }];
    if (node.format !== '' && node.format !== 'quantity') out['format'] = node.format;
    if (node.intOrString) {
      out['format'] = 'int-or-string';
      out['oneOf'] = [{ type: 'integer' }, { type: 'string' }];
      out['x-kubernetes-int-or-string'] = true;
    }
    if (node.nullable) out['nullable'] = true;
    if (node.properties !== undefined) out['properties'] = this.#properties(node);
    if (node.additional !== undefined)
      out['additionalProperties'] = node.additional === true ? true : this.write(node.additional);
    if (node.items !== undefined) out['items'] = this.write(node.items);
    if (node.required.length > 0) out['required'] = [...node.required];
    if (node.enumeration !== undefined) out['enum'] = clone([...node.enumeration]);
    if (node.pattern !== undefined) out['pattern'] = node.pattern.source;
    if (node.defaultValue !== undefined) out['default'] = clone(node.defaultValue);
    if (node.preserveUnknown) out['x-kubernetes-preserve-unknown-fields'] = true;
    if (node.embeddedResource) out['x-kubernetes-embedded-resource'] = true;
    for (const [name, value] of Object.entries(node.limits)) if (value !== undefined) out[name] = value;
    if (node.rules.length > 0) {
      out['x-kubernetes-validations'] = node.rules.map((rule) => ({
        rule: rule.rule,
        ...(rule.message === '' ? {} : { message: rule.message }),
      }));
    }
    return out;
  }
}

/** How lists and maps merge. */
function hints(node: SchemaNode): JsonObject {
  return {
    ...(node.listType === '' ? {} : { 'x-kubernetes-list-type': node.listType }),
    ...(node.listType === 'map' ? { 'x-kubernetes-list-map-keys': [...node.listMapKeys] } : {}),
    ...(node.atomicMap ? { 'x-kubernetes-map-type': 'atomic' } : {}),
    ...(node.patchMergeKey === '' ? {} : { 'x-kubernetes-patch-merge-key': node.patchMergeKey }),
    ...(node.patchStrategy === '' ? {} : { 'x-kubernetes-patch-strategy': node.patchStrategy }),
  };
}
