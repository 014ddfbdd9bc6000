/** Runs the CEL rules of a structural schema over an object, the way the API server does, with another CEL engine. */
import { Environment } from '@marcbachmann/cel-js';
import { type CelRule, celKey } from './schema.ts';
import type { StructuralSchema } from './structural.ts';

export interface Evaluation {
  /** Where in the schema the rule stands, such as `spec.rules[]`. */
  readonly at: string;
  readonly rule: CelRule;
  readonly holds: boolean;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `namespace` is a reserved word of CEL; the API server offers it as `__namespace__`. */
const reserved: ReadonlySet<string> = new Set(['namespace']);

function toCel(schema: StructuralSchema, value: unknown): unknown {
  if (schema.type === 'integer' && typeof value === 'number') return BigInt(value);
  if (Array.isArray(value)) return value.map((one) => toCel(schema.items ?? {}, one));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      reserved.has(name) && schema.properties?.[name] !== undefined ? `__${name}__` : name,
      toCel(schema.properties?.[name] ?? schema.additionalProperties ?? {}, one),
    ]),
  );
}

const environment = new Environment({ unlistedVariablesAreDyn: true });
const compiled = new Map<string, (context: Record<string, unknown>) => unknown>();

function holds(rule: CelRule, self: unknown): boolean {
  let program = compiled.get(rule.rule);
  if (program === undefined) {
    program = environment.parse(rule.rule);
    compiled.set(rule.rule, program);
  }
  const verdict = program({ self });
  if (typeof verdict !== 'boolean') throw new Error(`${rule.rule} gives ${String(verdict)}`);
  return verdict;
}

/** `value` has its defaults. */
export function* evaluateRules(schema: StructuralSchema, value: unknown, at = ''): Generator<Evaluation> {
  for (const rule of schema[celKey] ?? []) yield { at, rule, holds: holds(rule, toCel(schema, value)) };
  if (Array.isArray(value) && schema.items !== undefined) {
    for (const one of value) yield* evaluateRules(schema.items, one, `${at}[]`);
  }
  if (!isObject(value)) return;
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    if (value[name] !== undefined) yield* evaluateRules(child, value[name], at === '' ? name : `${at}.${name}`);
  }
}

export function* rulesOf(
  schema: StructuralSchema,
  at = '',
): Generator<{ readonly at: string; readonly rule: CelRule }> {
  for (const rule of schema[celKey] ?? []) yield { at, rule };
  if (schema.items !== undefined) yield* rulesOf(schema.items, `${at}[]`);
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    yield* rulesOf(child, at === '' ? name : `${at}.${name}`);
  }
}
