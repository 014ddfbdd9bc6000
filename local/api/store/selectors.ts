import { asObject, asObjects, asString, asStrings, at, type Json, type JsonObject, stringMap } from '../json.ts';
import { badRequest } from '../status.ts';

/** Label selectors as on the wire (`a=b,c in (d,e),!f`) and as metav1.LabelSelector; field selectors (`metadata.name=x`). */
export type Labels = Readonly<Record<string, string>>;

export interface LabelRequirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
  readonly values: readonly string[];
}

const keyPattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const valuePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;

export const isLabelKey = (text: string): boolean => keyPattern.test(text);
export const isLabelValue = (text: string): boolean => valuePattern.test(text);

/** Splits at commas outside parentheses. */
function splitTerms(text: string): string[] {
  const terms: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')') depth--;
    else if (text[i] === ',' && depth === 0) {
      terms.push(text.slice(start, i));
      start = i + 1;
    }
  }
  terms.push(text.slice(start));
  return terms.map((term) => term.trim()).filter((term) => term !== '');
}

function parseTerm(term: string): LabelRequirement | undefined {
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(term);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return { key: set[1] ?? '', operator: set[2] === 'in' ? 'In' : 'NotIn', values };
  }
  const order = /^([^\s<>=!]+)\s*([<>])\s*(-?\d+)$/.exec(term);
  if (order !== null)
    return { key: order[1] ?? '', operator: order[2] === '<' ? 'Lt' : 'Gt', values: [order[3] ?? ''] };
  const match = /^([^\s<>=!]+)\s*(==|=|!=)\s*([^\s=!<>]*)$/.exec(term);
  if (match !== null)
    return { key: match[1] ?? '', operator: match[2] === '!=' ? 'NotIn' : 'In', values: [match[3] ?? ''] };
  const presence = /^(!?)\s*([^\s=!<>]+)$/.exec(term);
  if (presence === null) return undefined;
  return { key: presence[2] ?? '', operator: presence[1] === '!' ? 'DoesNotExist' : 'Exists', values: [] };
}

export function parseLabelSelector(text: string): LabelRequirement[] {
  return splitTerms(text).map((term) => {
    const requirement = parseTerm(term);
    if (requirement === undefined || !isLabelKey(requirement.key) || !requirement.values.every(isLabelValue)) {
      throw badRequest(`unable to parse requirement: ${JSON.stringify(term)} is no valid label selector requirement`);
    }
    return requirement;
  });
}

export function labelSelectorOf(selector: Json | undefined): LabelRequirement[] {
  const object = asObject(selector);
  if (object === undefined) return [];
  const equalities = Object.entries(stringMap(object['matchLabels'])).map(
    ([key, value]): LabelRequirement => ({ key, operator: 'In', values: [value] }),
  );
  const expressions = asObjects(object['matchExpressions']).flatMap((expression): LabelRequirement[] => {
    const operator = asString(expression['operator']);
    if (operator !== 'In' && operator !== 'NotIn' && operator !== 'Exists' && operator !== 'DoesNotExist') return [];
    return [{ key: asString(expression['key']), operator, values: asStrings(expression['values']) }];
  });
  return [...equalities, ...expressions];
}

function matchesRequirement(requirement: LabelRequirement, labels: Labels): boolean {
  const value = labels[requirement.key];
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value);
    case 'NotIn':
      return value === undefined || !requirement.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return value !== undefined && Number(value) > Number(requirement.values[0]);
    case 'Lt':
      return value !== undefined && Number(value) < Number(requirement.values[0]);
  }
}

export function matchesLabels(requirements: readonly LabelRequirement[], labels: Labels): boolean {
  return requirements.every((requirement) => matchesRequirement(requirement, labels));
}

export interface FieldRequirement {
  readonly path: string;
  readonly equals: boolean;
  readonly value: string;
}

export function parseFieldSelector(text: string): FieldRequirement[] {
  return text
    .split(/(?<!\\),/)
    .filter((term) => term !== '')
    .map((term) => {
      const match = /^([^=!]+?)(==|=|!=)(.*)$/.exec(term);
      if (match === null) throw badRequest(`invalid selector: '${text}'; can't understand '${term}'`);
      const value = (match[3] ?? '').replace(/\\([,=\\])/g, '$1');
      return { path: match[1] ?? '', equals: match[2] !== '!=', value };
    });
}

/** An unset field compares as the empty text, an unset boolean as false, as the generated field sets of Kubernetes do. */
export function fieldText(object: JsonObject, path: string): string {
  const value = at(object, ...path.split('.'));
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : String(value);
}

export function matchesFields(requirements: readonly FieldRequirement[], object: JsonObject): boolean {
  return requirements.every((need) => (fieldText(object, need.path) === need.value) === need.equals);
}
