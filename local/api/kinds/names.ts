import { asObject, at, type JsonObject } from '../json.ts';
import { ensureMeta, nameOf } from '../object.ts';
import { type Cause, invalidValue, required } from '../status.ts';
import { isLabelKey, isLabelValue } from '../store/selectors.ts';

const label = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

export const isDns1123Label = (text: string): boolean => label.test(text);
export const isDns1123Subdomain = (text: string): boolean => text.length <= 253 && subdomain.test(text);

const labelWords =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const subdomainWords =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

export const labelProblem = (field: string, value: string): Cause[] =>
  isDns1123Label(value) ? [] : [invalidValue(field, value, labelWords)];
const subdomainProblem = (field: string, value: string): Cause[] =>
  isDns1123Subdomain(value) ? [] : [invalidValue(field, value, subdomainWords)];

/** Which kinds have names stricter or looser than a DNS subdomain. */
type NameRule = 'subdomain' | 'label' | 'path';

export function nameRuleOf(group: string, kind: string): NameRule {
  if (group === 'rbac.authorization.k8s.io') return 'path';
  if (group === '' && (kind === 'Namespace' || kind === 'Service')) return 'label';
  return 'subdomain';
}

export function validateMeta(object: JsonObject, rule: NameRule, namespaced: boolean): Cause[] {
  const causes: Cause[] = [];
  const name = nameOf(object);
  if (name === '') causes.push(required('metadata.name', 'name or generateName is required'));
  else if (rule === 'path') {
    if (name === '.' || name === '..' || /[/%]/.test(name)) {
      causes.push(invalidValue('metadata.name', name, "may not contain '/' or '%', nor be '.' or '..'"));
    }
  } else causes.push(...(rule === 'label' ? labelProblem : subdomainProblem)('metadata.name', name));
  if (namespaced && typeof at(object, 'metadata', 'namespace') !== 'string')
    causes.push(required('metadata.namespace'));
  causes.push(...validateLabels(asObject(at(object, 'metadata', 'labels')), 'metadata.labels'));
  for (const key of Object.keys(asObject(at(object, 'metadata', 'annotations')) ?? {})) {
    if (!isLabelKey(key.toLowerCase())) {
      causes.push(
        invalidValue('metadata.annotations', key, 'a qualified name must consist of alphanumeric characters'),
      );
    }
  }
  return causes;
}

export function validateLabels(labels: JsonObject | undefined, path: string): Cause[] {
  const causes: Cause[] = [];
  for (const [key, value] of Object.entries(labels ?? {})) {
    if (!isLabelKey(key)) {
      causes.push(
        invalidValue(
          path,
          key,
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        ),
      );
    }
    if (typeof value !== 'string' || !isLabelValue(value)) {
      causes.push(
        invalidValue(
          path,
          value ?? null,
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
      );
    }
  }
  return causes;
}

const suffixAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function randomSuffix(length: number): string {
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  return [...bytes].map((byte) => suffixAlphabet[byte % suffixAlphabet.length]).join('');
}

/** generateName: five random characters after a base cut to fit 63. */
export function generateName(object: JsonObject): void {
  const meta = ensureMeta(object);
  const base = typeof meta['generateName'] === 'string' ? meta['generateName'] : '';
  if (nameOf(object) === '' && base !== '') meta['name'] = base.slice(0, 58) + randomSuffix(5);
}

export const immutable = (field: string, value: unknown): Cause => invalidValue(field, value, 'field is immutable');
