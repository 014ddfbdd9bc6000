import { isObject, type Json } from '../json.ts';

/** The subset of JSONPath that printer columns and scale subresources use: `.a.b`, `['a.b']`, `[0]`, `[*]`, `[?(@.type=="Ready")]`. */
type Step =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'all' }
  | {
      readonly kind: 'filter';
      readonly path: readonly string[];
      readonly negated: boolean;
      readonly value: string | undefined;
    };

const token =
  /\.([\w-]+|\*)|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]|\[(-?\d+)\]|\[(\*)\]|\[\?\(\s*@((?:\.[\w-]+)+)\s*(?:(==|!=)\s*(?:"([^"]*)"|'([^']*)'|([\w.-]+))\s*)?\)\]/y;

function parse(path: string): Step[] | undefined {
  const text = path
    .replace(/^\{(.*)\}$/, '$1')
    .replace(/^\$/, '')
    .replaceAll('\\.', '\u0000');
  const steps: Step[] = [];
  token.lastIndex = 0;
  while (token.lastIndex < text.length) {
    const match = token.exec(text);
    if (match === null) return undefined;
    const [, field, single, double, index, all, filterPath, operator, value1, value2, value3] = match;
    const name = field ?? single ?? double;
    if (field === '*' || all !== undefined) steps.push({ kind: 'all' });
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (filterPath !== undefined) {
      const value = operator === undefined ? undefined : (value1 ?? value2 ?? value3 ?? '');
      steps.push({ kind: 'filter', path: filterPath.slice(1).split('.'), negated: operator === '!=', value });
    } else if (name !== undefined) steps.push({ kind: 'field', name: name.replaceAll('\u0000', '.') });
  }
  return steps;
}

const parsed = new Map<string, readonly Step[] | undefined>();
const parsedMax = 2000;

function stepsOf(path: string): readonly Step[] | undefined {
  if (parsed.has(path)) return parsed.get(path);
  if (parsed.size >= parsedMax) parsed.clear();
  // A dot inside a name is written \. in definitions; the tokenizer sees it as part of a word.
  const steps = parse(path.replace(/\\\./g, '__escaped_dot__'))?.map((step) =>
    step.kind === 'field' ? { ...step, name: step.name.replaceAll('__escaped_dot__', '.') } : step,
  );
  parsed.set(path, steps);
  return steps;
}

function matchesFilter(item: Json, step: Extract<Step, { kind: 'filter' }>): boolean {
  let value: Json | undefined = item;
  for (const name of step.path) value = isObject(value) ? value[name] : undefined;
  if (step.value === undefined) return value !== undefined;
  return (String(value ?? '') === step.value) !== step.negated;
}

function step(value: Json, by: Step): Json[] {
  switch (by.kind) {
    case 'field': {
      const next = isObject(value) ? value[by.name] : undefined;
      return next === undefined ? [] : [next];
    }
    case 'index': {
      const next = Array.isArray(value) ? value.at(by.index) : undefined;
      return next === undefined ? [] : [next];
    }
    case 'all':
      return Array.isArray(value) ? value : isObject(value) ? Object.values(value).filter((v) => v !== undefined) : [];
    case 'filter':
      return Array.isArray(value) ? value.filter((item) => matchesFilter(item, by)) : [];
  }
}

/** All values at a path; none when the path is not understood. */
export function jsonPath(value: Json, path: string): Json[] {
  const steps = stepsOf(path);
  return steps === undefined
    ? []
    : steps.reduce((values: Json[], by) => values.flatMap((item) => step(item, by)), [value]);
}

/** Field names of a plain path (`.spec.replicas`), as scale subresources need them to write. */
export function plainPath(path: string): string[] {
  return path.split('.').filter((part) => part !== '');
}
