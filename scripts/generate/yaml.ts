import { parseAllDocuments, stringify } from 'yaml';

/** Long lines stay whole: a folded CEL expression cannot be searched for. */
export const toYaml = (value: unknown): string => stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });

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
