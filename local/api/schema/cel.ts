import type { Environment, ParseResult } from '@marcbachmann/cel-js';
import { isObject, type Json, type JsonObject } from '../json.ts';
import type { Cause } from '../status.ts';
import { celProblem, newEnvironment } from './cel-environment.ts';
import { unknownField } from './cel-fields.ts';
import { normalizeHas } from './cel-has.ts';
import type { SchemaNode, ValidationRule } from './node.ts';
import { mapKeyOf } from './validate.ts';

/** x-kubernetes-validations: rules are compiled when a definition is taken and run for every value that they belong to. */
let environment: Environment | undefined;

function ruleEnvironment(): Environment {
  environment ??= newEnvironment().registerVariable('self', 'dyn').registerVariable('oldSelf', 'dyn');
  return environment;
}

interface Compiled {
  readonly program: ParseResult;
  readonly usesOldSelf: boolean;
}

const compiled = new WeakMap<ValidationRule, Compiled>();
const messagePrograms = new WeakMap<ValidationRule, ParseResult>();

const mentionsOldSelf = (text: string): boolean =>
  /\boldSelf\b/.test(text.replace(/"([^"\\]|\\.)*"|'([^'\\]|\\.)*'/g, '""'));

/** Undefined when the rule compiles against the schema that it is in. */
export function compileRule(rule: ValidationRule, node: SchemaNode, isResource: boolean): string | undefined {
  try {
    const checked = ruleEnvironment().check(normalizeHas(rule.rule));
    if (!checked.valid) return celProblem(checked.error);
    if (checked.type !== 'bool' && checked.type !== 'dyn') return 'cel expression must evaluate to a bool';
    const program = ruleEnvironment().parse(normalizeHas(rule.rule));
    const unknown = unknownField(program.ast, node, isResource);
    if (unknown !== undefined) return `undefined field '${unknown}'`;
    compiled.set(rule, { program, usesOldSelf: mentionsOldSelf(rule.rule) });
    if (rule.messageExpression !== '') {
      const message = ruleEnvironment().check(normalizeHas(rule.messageExpression));
      if (!message.valid) return `messageExpression: ${celProblem(message.error)}`;
    }
    return undefined;
  } catch (error) {
    return celProblem(error);
  }
}

function programOf(rule: ValidationRule): Compiled {
  const known = compiled.get(rule);
  if (known !== undefined) return known;
  const made = { program: ruleEnvironment().parse(normalizeHas(rule.rule)), usesOldSelf: mentionsOldSelf(rule.rule) };
  compiled.set(rule, made);
  return made;
}

type CelValue = string | number | bigint | boolean | null | Date | CelValue[] | { [key: string]: CelValue };

/** Names that CEL cannot say are escaped (KEP-2876, "escaping"). */
const reserved = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);

export function escapeName(name: string): string {
  if (reserved.has(name)) return `__${name}__`;
  return name
    .replaceAll('__', '__underscores__')
    .replaceAll('.', '__dot__')
    .replaceAll('-', '__dash__')
    .replaceAll('/', '__slash__');
}

/** JSON numbers become int or double by the schema; map keys stay, field names are escaped. */
export function toCel(value: Json | undefined, node: SchemaNode | undefined): CelValue {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') {
    return node?.type === 'number' || !Number.isInteger(value) ? value : BigInt(value);
  }
  if (typeof value === 'string') return node?.format === 'date-time' ? new Date(value) : value;
  if (typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((item) => toCel(item, node?.items));
  const out: { [key: string]: CelValue } = {};
  for (const [key, item] of Object.entries(value)) {
    const property = node?.properties?.[key];
    const child = property ?? (node?.additional === true ? undefined : node?.additional);
    out[property === undefined ? key : escapeName(key)] = toCel(item, child);
  }
  return out;
}

export function validateRules(object: JsonObject, old: JsonObject | undefined, node: SchemaNode): Cause[] {
  const causes: Cause[] = [];
  walk(object, old, node, '', causes);
  return causes;
}

const hasRules = new WeakMap<SchemaNode, boolean>();

function anyRules(node: SchemaNode): boolean {
  const known = hasRules.get(node);
  if (known !== undefined) return known;
  const children = [...Object.values(node.properties ?? {}), node.items, node.additional];
  const found =
    node.rules.length > 0 || children.some((child) => child !== undefined && child !== true && anyRules(child));
  hasRules.set(node, found);
  return found;
}

function walk(value: Json | undefined, old: Json | undefined, node: SchemaNode, path: string, causes: Cause[]): void {
  if (value === undefined || value === null || !anyRules(node)) return;
  for (const rule of node.rules) {
    const cause = runRule(rule, value, old, node, path);
    if (cause !== undefined) causes.push(cause);
  }
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    const previous = correlatedItems(old, node);
    for (const [index, item] of value.entries()) {
      const key = node.listType === 'map' ? mapKeyOf(item, node.listMapKeys, node.items) : undefined;
      walk(item, key === undefined ? undefined : previous.get(key), node.items, `${path}[${index}]`, causes);
    }
    return;
  }
  if (!isObject(value)) return;
  const oldObject = isObject(old) ? old : undefined;
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    walk(value[name], oldObject?.[name], child, path === '' ? name : `${path}.${name}`, causes);
  }
  if (node.additional === undefined || node.additional === true) return;
  for (const [name, item] of Object.entries(value)) {
    if (node.properties?.[name] === undefined)
      walk(item, oldObject?.[name], node.additional, `${path}.${name}`, causes);
  }
}

/** Only items of a map list can be told apart between two versions. */
function correlatedItems(old: Json | undefined, node: SchemaNode): Map<string, Json> {
  const out = new Map<string, Json>();
  if (!Array.isArray(old) || node.listType !== 'map') return out;
  for (const item of old) {
    const key = mapKeyOf(item, node.listMapKeys, node.items);
    if (key !== undefined) out.set(key, item);
  }
  return out;
}

function runRule(
  rule: ValidationRule,
  value: Json,
  old: Json | undefined,
  node: SchemaNode,
  path: string,
): Cause | undefined {
  const { program, usesOldSelf } = programOf(rule);
  // A transition rule says nothing about a value that was not there before.
  if (usesOldSelf && old === undefined && !rule.optionalOldSelf) return undefined;
  const context = { self: toCel(value, node), oldSelf: toCel(old, node) };
  const field = path + rule.fieldPath.replace(path === '' ? /^\./ : /(?!)/, '');
  const shown = isObject(value) ? '"object"' : Array.isArray(value) ? '"array"' : JSON.stringify(value);
  try {
    if (program(context) === true) return undefined;
  } catch (error) {
    return {
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${shown}: rule evaluation error: ${celProblem(error)} (rule: ${rule.rule})`,
      field,
    };
  }
  const reason = rule.reason === '' ? 'FieldValueInvalid' : rule.reason;
  const text = messageOf(rule, context);
  return { reason, message: worded(reason, shown, text), field };
}

function worded(reason: string, shown: string, text: string): string {
  switch (reason) {
    case 'FieldValueForbidden':
      return `Forbidden: ${text}`;
    case 'FieldValueRequired':
      return `Required value: ${text}`;
    case 'FieldValueDuplicate':
      return `Duplicate value: ${shown}`;
    default:
      return `Invalid value: ${shown}: ${text}`;
  }
}

function messageOf(rule: ValidationRule, context: { self: CelValue; oldSelf: CelValue }): string {
  const fallback = rule.message === '' ? `failed rule: ${rule.rule.trim()}` : rule.message;
  if (rule.messageExpression === '') return fallback;
  try {
    let program = messagePrograms.get(rule);
    if (program === undefined) {
      program = ruleEnvironment().parse(normalizeHas(rule.messageExpression));
      messagePrograms.set(rule, program);
    }
    const text: unknown = program(context);
    return typeof text === 'string' && text.trim() !== '' && !text.includes('\n') ? text : fallback;
  } catch {
    return fallback;
  }
}
