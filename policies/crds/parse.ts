/** Turns what zod finds into errors that name a field, what is wrong with it and what to do. */
import type { z } from 'zod';

export interface FieldError {
  /** Such as `spec.rules[0].from[1].principals`; empty for the object as a whole. */
  readonly path: string;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;

/** More than this helps nobody, and the answer to an admission request is bounded. */
const errorsMax = 20;
const shownMax = 64;

export function formatPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${JSON.stringify(String(part))}]`;
  }
  return text;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > shownMax ? `${text.slice(0, shownMax)}...` : text;
}

const units: Readonly<Record<string, string>> = { string: ' characters', array: ' entries' };

function expected(type: string): string {
  switch (type) {
    case 'int':
      return 'an integer';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'an object';
    default:
      return `a ${type}`;
  }
}

function sized(issue: Issue): string {
  if (!('input' in issue)) return '';
  const { input } = issue;
  return typeof input === 'string' || Array.isArray(input) ? `, it has ${input.length}` : `, it is ${shown(input)}`;
}

function messageOf(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined
        ? `is missing; set it to ${expected(issue.expected)}`
        : `must be ${expected(issue.expected)}, it is ${shown(issue.input)}`;
    case 'too_big':
      return `must ${issue.origin in units ? 'have' : 'be'} at most ${issue.maximum}${units[issue.origin] ?? ''}${sized(issue)}`;
    case 'too_small':
      return `must ${issue.origin in units ? 'have' : 'be'} at least ${issue.minimum}${units[issue.origin] ?? ''}${sized(issue)}`;
    case 'invalid_value': {
      const values = issue.values.map((value) => String(value)).join(', ');
      if (issue.input === undefined) return `is missing; set it to one of ${values}`;
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${values}, it is ${shown(issue.input)}`;
    }
    case 'invalid_format':
      return issue.input === undefined ? issue.message : `${issue.message}, it is ${shown(issue.input)}`;
    case 'invalid_key':
      return `has a key that is not allowed: ${issue.issues.map((inner) => inner.message).join('; ')}`;
    default:
      return issue.message;
  }
}

export function fieldErrors(issues: readonly Issue[]): FieldError[] {
  const all = issues.flatMap((issue): FieldError[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        path: formatPath([...issue.path, key]),
        message: 'is no field of this kind; remove it or correct its name',
      }));
    }
    return [{ path: formatPath(issue.path), message: messageOf(issue) }];
  });
  if (all.length <= errorsMax) return all;
  return [...all.slice(0, errorsMax), { path: '', message: `and ${all.length - errorsMax} further errors` }];
}

/** One line for a status condition or an admission answer. */
export function describeErrors(errors: readonly FieldError[]): string {
  return errors.map((error) => (error.path === '' ? error.message : `${error.path}: ${error.message}`)).join('; ');
}
