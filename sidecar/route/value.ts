import type { ValueMatch } from '@weft/policies/model/value-match';
import { StringMatcher } from './pattern.ts';

type ValueTest = (value: unknown) => boolean;

/** A compiled ValueMatch, for JSON values; undefined: there is none. */
export function valueTest(match: ValueMatch): ValueTest {
  switch (match.kind) {
    case 'present':
      return (value) => value !== undefined;
    case 'string': {
      const matcher = new StringMatcher(match.match);
      return (value) => typeof value === 'string' && matcher.test(value);
    }
    case 'number':
    case 'boolean':
      return (value) => value === match.value;
    case 'element': {
      const test = valueTest(match.match);
      return (value) => {
        if (!Array.isArray(value)) return false;
        for (const item of value) if (test(item)) return true;
        return false;
      };
    }
    case 'or': {
      const tests = match.matches.map(valueTest);
      return (value) => {
        for (const test of tests) if (test(value)) return true;
        return false;
      };
    }
  }
}

/** The value down these names. What an object inherits is none of it, and lists have no names. */
export function valueAt(root: unknown, path: readonly string[]): unknown {
  let value: unknown = root;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}
