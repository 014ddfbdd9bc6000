/**
 * The few words in which every kind is written: zod schemas that also carry what a CustomResourceDefinition
 * needs to know (CEL rules, list semantics). `structural.ts` turns them into the CRD.
 *
 * A cross-field rule is written twice, once in CEL for the API server and once in TypeScript for admission, but
 * always side by side, and a test holds the two to the same verdicts.
 */
import { z } from 'zod';

/** Nobody downstream may change a parsed object: snapshots share them. */
export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

export interface Rule<T> {
  /** The CEL expression; left out only where CEL cannot see what the rule needs (say so beside it). */
  readonly cel?: string;
  /** What is wrong and what to do. */
  readonly message: string;
  /** The field at fault, relative to where the rule sits. */
  readonly path?: readonly string[];
  /** True when the value is right. */
  readonly check: (value: T) => boolean;
}

/** One entry of `x-kubernetes-validations`. */
export interface CelRule {
  readonly rule: string;
  readonly message: string;
  readonly fieldPath?: string;
}

export const celKey = 'x-kubernetes-validations';
/** What is in such an object is nobody's business but its writer's: it is neither pruned nor judged. */
export const openKey = 'x-kubernetes-preserve-unknown-fields';
export const listTypeKey = 'x-kubernetes-list-type';
export const listMapKeysKey = 'x-kubernetes-list-map-keys';

export function celRulesOf<T>(rules: readonly Rule<T>[]): CelRule[] {
  return rules.flatMap((rule) =>
    rule.cel === undefined
      ? []
      : [
          {
            rule: rule.cel,
            message: rule.message,
            // A field path can lead only to what the schema spells out, and no CRD may spell out metadata.
            ...(rule.path === undefined || rule.path[0] === 'metadata' ? {} : { fieldPath: `.${rule.path.join('.')}` }),
          },
        ],
  );
}

/** Adds cross-field rules to an object or list schema. */
export function withRules<S extends z.ZodType>(schema: S, rules: readonly Rule<z.output<S>>[]): S {
  const earlier = schema.meta()?.[celKey];
  const cel = [...(Array.isArray(earlier) ? earlier : []), ...celRulesOf(rules)];
  const checked = schema.superRefine((value, context) => {
    // A text that breaks its pattern is still handed on. Like CEL, rules run on what keeps the schema, and on nothing else.
    if (context.issues.some((issue) => issue.code !== 'custom')) return;
    for (const rule of rules) {
      if (rule.check(value)) continue;
      context.addIssue({ code: 'custom', message: rule.message, path: [...(rule.path ?? [])], input: value });
    }
  });
  return cel.length === 0 ? checked : checked.meta({ [celKey]: cel });
}

export interface Bounds {
  readonly min?: number;
  readonly max: number;
}

function bounded<S extends z.ZodType>(item: S, bounds: Bounds): z.ZodArray<S> {
  const list = z.array(item).max(bounds.max);
  return bounds.min === undefined ? list : list.min(bounds.min);
}

/** An ordered list that a server-side apply replaces as a whole. */
export function listOf<S extends z.ZodType>(item: S, bounds: Bounds): z.ZodArray<S> {
  return bounded(item, bounds).meta({ [listTypeKey]: 'atomic' });
}

/** A list without repetitions. */
export function setOf<S extends z.ZodType<string | number>>(item: S, bounds: Bounds): z.ZodArray<S> {
  return bounded(item, bounds)
    .superRefine((values, context) => {
      const seen = new Set<unknown>();
      values.forEach((value, index) => {
        if (seen.has(value)) {
          context.addIssue({
            code: 'custom',
            message: `repeats ${JSON.stringify(value)}; remove the repetition`,
            path: [index],
            input: value,
          });
        }
        seen.add(value);
      });
    })
    .meta({ [listTypeKey]: 'set' });
}

/** A list of objects of which no two agree in the key field. */
export function mapOf<S extends z.ZodType<Readonly<Record<string, unknown>>>>(
  item: S,
  key: string & keyof z.output<S>,
  bounds: Bounds,
): z.ZodArray<S> {
  return bounded(item, bounds)
    .superRefine((values, context) => {
      const seen = new Set<unknown>();
      values.forEach((value, index) => {
        const name = value[key];
        if (seen.has(name)) {
          context.addIssue({
            code: 'custom',
            message: `repeats ${JSON.stringify(name)}; each ${key} may occur once in this list`,
            path: [index, key],
            input: name,
          });
        }
        seen.add(name);
      });
    })
    .meta({ [listTypeKey]: 'map', [listMapKeysKey]: [key] });
}

/** A bounded integer. */
export function integer(min: number, max: number): z.ZodInt {
  return z.int().min(min).max(max);
}

/** A string with a pattern; `expected` completes "must be ...". */
export function text(pattern: RegExp, expected: string, bounds: Bounds): z.ZodString {
  const base = z
    .string()
    .regex(pattern, { error: `must be ${expected}` })
    .max(bounds.max);
  return bounds.min === undefined ? base : base.min(bounds.min);
}
