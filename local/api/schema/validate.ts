import { canonical, isObject, type Json, type JsonObject } from '../json.ts';
import {
  type Cause,
  duplicateValue,
  invalidValue,
  required,
  tooLong,
  tooMany,
  typeInvalid,
  unsupportedValue,
} from '../status.ts';
import { formatProblem } from './formats.ts';
import type { SchemaNode } from './node.ts';

/** Validation of a value against a structural schema, with the messages that kubectl users know from apiextensions. */
export function validateRoot(object: JsonObject, node: SchemaNode): Cause[] {
  const causes: Cause[] = [];
  // apiVersion, kind and metadata are the server's own and already checked.
  validate(object, { ...node, embeddedResource: true }, '', causes);
  return causes;
}

const jsonType = (value: Json): string => {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
};

const childOf = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`);

export function validate(value: Json, node: SchemaNode, path: string, causes: Cause[]): void {
  if (value === null) {
    if (!node.nullable && (node.type !== '' || node.intOrString)) {
      causes.push(
        typeInvalid(path, 'null', `${path} in body must be of type ${node.type || 'integer,string'}: "null"`),
      );
    }
    return;
  }
  if (!validateType(value, node, path, causes)) return;
  if (node.enumeration !== undefined && !node.enumeration.some((item) => canonical(item) === canonical(value))) {
    causes.push(unsupportedValue(path, value, node.enumeration.map(String)));
  }
  if (typeof value === 'string') validateString(value, node, path, causes);
  else if (typeof value === 'number') validateNumber(value, node, path, causes);
  else if (Array.isArray(value)) validateList(value, node, path, causes);
  else if (isObject(value)) validateObject(value, node, path, causes);
  validateCombinators(value, node, path, causes);
}

function validateType(value: Json, node: SchemaNode, path: string, causes: Cause[]): boolean {
  const actual = jsonType(value);
  if (node.intOrString) {
    if (actual === 'integer' || actual === 'string') return true;
    causes.push(typeInvalid(path, actual, `${path} in body must be of type integer,string: "${actual}"`));
    return false;
  }
  if (node.type === '' || node.type === actual || (node.type === 'number' && actual === 'integer')) return true;
  causes.push(typeInvalid(path, actual, `${path} in body must be of type ${node.type}: "${actual}"`));
  return false;
}

function validateString(value: string, node: SchemaNode, path: string, causes: Cause[]): void {
  const { minLength, maxLength } = node.limits;
  const length = [...value].length;
  if (minLength !== undefined && length < minLength) {
    causes.push(invalidValue(path, value, `${path} in body should be at least ${minLength} chars long`));
  }
  if (maxLength !== undefined && length > maxLength) causes.push(tooLong(path, maxLength));
  if (node.pattern !== undefined && !node.pattern.test(value)) {
    causes.push(invalidValue(path, value, `${path} in body should match '${node.pattern.source}'`));
  }
  const problem = formatProblem(node.format, value);
  if (problem !== undefined)
    causes.push(invalidValue(path, value, `${path} in body must be of type ${node.format}: ${problem}`));
}

function validateNumber(value: number, node: SchemaNode, path: string, causes: Cause[]): void {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = node.limits;
  if (minimum !== undefined && (exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    const words = exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    causes.push(invalidValue(path, value, `${path} in body should be ${words} ${minimum}`));
  }
  if (maximum !== undefined && (exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    const words = exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    causes.push(invalidValue(path, value, `${path} in body should be ${words} ${maximum}`));
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    causes.push(invalidValue(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
  if (node.format === 'int32' && (value < -2147483648 || value > 2147483647)) {
    causes.push(invalidValue(path, value, `${path} in body must be of type int32`));
  }
}

/** The identity of an item of a `list-type: map`, undefined when a key is missing. */
export function mapKeyOf(item: Json, keys: readonly string[], node: SchemaNode | undefined): string | undefined {
  if (!isObject(item)) return undefined;
  const parts: string[] = [];
  for (const key of keys) {
    const value = item[key] ?? node?.properties?.[key]?.defaultValue;
    parts.push(`${key}=${canonical(value)}`);
  }
  return parts.join(',');
}

function validateList(list: Json[], node: SchemaNode, path: string, causes: Cause[]): void {
  const { minItems, maxItems, uniqueItems } = node.limits;
  if (minItems !== undefined && list.length < minItems) {
    causes.push(invalidValue(path, list.length, `${path} in body should have at least ${minItems} items`));
  }
  if (maxItems !== undefined && list.length > maxItems) causes.push(tooMany(path, list.length, maxItems));
  const items = node.items;
  if (items !== undefined)
    for (const [index, item] of list.entries()) validate(item, items, `${path}[${index}]`, causes);
  const seen = new Set<string>();
  if (node.keysRepeat || (node.listType !== 'set' && node.listType !== 'map' && uniqueItems !== true)) return;
  for (const [index, item] of list.entries()) {
    const identity = node.listType === 'map' ? mapKeyOf(item, node.listMapKeys, items) : canonical(item);
    if (identity === undefined) continue;
    if (seen.has(identity)) causes.push(duplicateValue(`${path}[${index}]`, duplicateShown(item, node)));
    seen.add(identity);
  }
}

function duplicateShown(item: Json, node: SchemaNode): Json {
  if (node.listType !== 'map' || !isObject(item)) return item;
  return canonical(Object.fromEntries(node.listMapKeys.map((key) => [key, item[key]])));
}

function validateObject(object: JsonObject, node: SchemaNode, path: string, causes: Cause[]): void {
  const { minProperties, maxProperties } = node.limits;
  const keys = Object.keys(object);
  if (minProperties !== undefined && keys.length < minProperties) {
    causes.push(invalidValue(path, keys.length, `${path} in body should have at least ${minProperties} properties`));
  }
  if (maxProperties !== undefined && keys.length > maxProperties) {
    causes.push({
      reason: 'FieldValueTooMany',
      message: `Too many: ${keys.length}: must have at most ${maxProperties} items`,
      field: path,
    });
  }
  for (const name of node.required) if (object[name] === undefined) causes.push(required(childOf(path, name)));
  for (const key of keys) {
    const value = object[key];
    if (value === undefined) continue;
    const property = node.properties?.[key];
    if (node.embeddedResource && (key === 'apiVersion' || key === 'kind' || key === 'metadata')) continue;
    if (property !== undefined) validate(value, property, childOf(path, key), causes);
    else if (isNode(node.additional)) validate(value, node.additional, childOf(path, key), causes);
  }
}

const isNode = (node: SchemaNode | true | undefined): node is SchemaNode => node !== undefined && node !== true;

function isValid(value: Json, node: SchemaNode, path: string): boolean {
  const causes: Cause[] = [];
  validate(value, node, path, causes);
  return causes.length === 0;
}

function validateCombinators(value: Json, node: SchemaNode, path: string, causes: Cause[]): void {
  for (const part of node.allOf) validate(value, part, path, causes);
  if (node.anyOf.length > 0 && !node.anyOf.some((part) => isValid(value, part, path))) {
    causes.push(invalidValue(path, '', `"${path}" must validate at least one schema (anyOf)`));
  }
  if (node.oneOf.length > 0) {
    const matching = node.oneOf.filter((part) => isValid(value, part, path)).length;
    if (matching !== 1) {
      const found = matching === 0 ? 'Found none valid' : `Found ${matching} valid alternatives`;
      causes.push(invalidValue(path, '', `"${path}" must validate one and only one schema (oneOf). ${found}`));
    }
  }
  if (node.not !== undefined && isValid(value, node.not, path)) {
    causes.push(invalidValue(path, '', `"${path}" must not validate the schema (not)`));
  }
}
