import { parseAllDocuments, stringify } from 'yaml';

/**
 * Printed for YAML 1.1, which kubectl and helm read: there a bare `on` or `y` is a boolean, and is quoted.
 * Long lines stay whole: a folded CEL expression cannot be searched for.
 */
export const toYaml = (value: unknown): string =>
  stringify(value, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false });

export const toYamlStream = (values: readonly unknown[]): string =>
  values.map((value) => `---\n${toYaml(value)}`).join('');

/** The objects of a stream of documents; empty documents are none. */
export function fromYamlStream(text: string): unknown[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(`not YAML: ${document.errors[0]?.message}`);
    const value: unknown = document.toJS();
    return value === null ? [] : [value];
  });
}
