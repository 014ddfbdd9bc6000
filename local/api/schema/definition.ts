import { asArray, asObject, asObjects, asString, asStrings, at, type Json, type JsonObject } from '../json.ts';
import { type Cause, forbiddenField, invalidValue, required } from '../status.ts';
import { compileRule } from './cel.ts';
import { emptyNode, readSchema, type SchemaNode } from './node.ts';

/** Checks of a schema in a CustomResourceDefinition: structural, patterns and rules compile, defaults are what the schema allows. */
export function validateSchema(schema: JsonObject, path: string): Cause[] {
  const causes: Cause[] = [];
  const node = readSchema(schema);
  if (node.type !== 'object') causes.push(invalidValue(`${path}.type`, node.type, 'must be object at the root'));
  checkNode(schema, path, true, causes);
  checkRules(node, path, true, causes);
  return causes;
}

const knownTypes = ['object', 'array', 'string', 'integer', 'number', 'boolean'];

function checkNode(schema: JsonObject, path: string, isRoot: boolean, causes: Cause[]): void {
  const type = asString(schema['type']);
  const free = schema['x-kubernetes-preserve-unknown-fields'] === true || schema['x-kubernetes-int-or-string'] === true;
  if (type === '' && !free) causes.push(required(`${path}.type`, 'must not be empty for specified object fields'));
  if (type !== '' && !knownTypes.includes(type))
    causes.push(invalidValue(`${path}.type`, type, 'must be a JSON schema type'));
  if (type === 'array' && schema['items'] === undefined) causes.push(required(`${path}.items`, 'must be specified'));
  if (schema['properties'] !== undefined && schema['additionalProperties'] !== undefined) {
    causes.push(forbiddenField(`${path}.additionalProperties`, 'must not be used together with properties'));
  }
  if (schema['$ref'] !== undefined) causes.push(forbiddenField(`${path}.$ref`, '$ref is not supported'));
  const pattern = schema['pattern'];
  if (typeof pattern === 'string' && readSchema({ pattern }).pattern === undefined) {
    causes.push(invalidValue(`${path}.pattern`, pattern, 'must be a valid regular expression'));
  }
  const listType = asString(schema['x-kubernetes-list-type']);
  if (listType === 'map' && asStrings(schema['x-kubernetes-list-map-keys']).length === 0) {
    causes.push(required(`${path}.x-kubernetes-list-map-keys`, 'must not be empty if x-kubernetes-list-type is map'));
  }
  if (isRoot && schema['default'] !== undefined)
    causes.push(forbiddenField(`${path}.default`, 'must not be set at the root'));
  for (const [name, child] of Object.entries(asObject(schema['properties']) ?? {})) {
    if (isRoot && (name === 'metadata' || name === 'apiVersion' || name === 'kind')) continue;
    checkNode(asObject(child) ?? {}, `${path}.properties[${name}]`, false, causes);
  }
  const items = asObject(schema['items']);
  if (items !== undefined) checkNode(items, `${path}.items`, false, causes);
  const additional = asObject(schema['additionalProperties']);
  if (additional !== undefined) checkNode(additional, `${path}.additionalProperties`, false, causes);
}

function checkRules(node: SchemaNode, path: string, isRoot: boolean, causes: Cause[]): void {
  for (const [index, rule] of node.rules.entries()) {
    const field = `${path}.x-kubernetes-validations[${index}].rule`;
    if (rule.rule.trim() === '') causes.push(required(field, 'rule is not specified'));
    else {
      const problem = compileRule(rule, node, isRoot || node.embeddedResource);
      if (problem !== undefined) {
        causes.push(
          invalidValue(
            field,
            { rule: rule.rule },
            `compilation failed: ${problem} in rule ${JSON.stringify(rule.rule)}`,
          ),
        );
      }
    }
  }
  for (const [name, child] of Object.entries(node.properties ?? {}))
    checkRules(child, `${path}.properties[${name}]`, false, causes);
  if (node.items !== undefined) checkRules(node.items, `${path}.items`, false, causes);
  if (node.additional !== undefined && node.additional !== true) {
    checkRules(node.additional, `${path}.additionalProperties`, false, causes);
  }
}

/** The schema of one version of a definition; one that has none keeps everything. */
export function schemaOfVersion(version: JsonObject): SchemaNode {
  const schema = asObject(at(version, 'schema', 'openAPIV3Schema'));
  return schema === undefined ? { ...emptyNode, type: 'object', preserveUnknown: true } : readSchema(schema);
}

export function versionsOf(definition: JsonObject): JsonObject[] {
  return asObjects(at(definition, 'spec', 'versions'));
}

export function rawColumns(version: JsonObject): JsonObject[] {
  return asArray(version['additionalPrinterColumns']).filter(
    (item: Json): item is JsonObject => asObject(item) !== undefined,
  );
}
