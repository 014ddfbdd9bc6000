/** What the charts render to, and how to look into it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

const root = join(import.meta.dirname, '..', '..');

type Value = string | number | boolean | null | Value[] | { [key: string]: Value };

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly [field: string]: Value | object | undefined;
}

export function objectsOf(text: string): KubernetesObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    const value: KubernetesObject | null = document.toJS();
    return value === null ? [] : [value];
  });
}

export const objectsIn = (file: string): KubernetesObject[] => objectsOf(readFileSync(join(root, file), 'utf8'));

/** The value at a path of keys and indices; undefined when there is none. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (inner === undefined || inner === null ? undefined : Reflect.get(Object(inner), key)),
    value,
  );
}

export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const ofKind = (objects: readonly KubernetesObject[], ...kinds: string[]): KubernetesObject[] =>
  objects.filter((one) => kinds.includes(one.kind));

export function objectNamed(objects: readonly KubernetesObject[], kind: string, name: string): KubernetesObject {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found !== undefined, `no ${kind} ${name}`);
  return found;
}

export type Labels = Readonly<Record<string, string>>;

/** LabelSelectorRequirement of the Kubernetes API. */
export function selects(selector: unknown, labels: Labels): boolean {
  return list(at(selector, 'matchExpressions')).every((one) => {
    const value = labels[String(at(one, 'key'))];
    const named = value !== undefined && list(at(one, 'values')).includes(value);
    switch (at(one, 'operator')) {
      case 'In':
        return named;
      case 'NotIn':
        return !named;
      case 'DoesNotExist':
        return value === undefined;
      default:
        return assert.fail(`operator ${String(at(one, 'operator'))}`);
    }
  });
}
