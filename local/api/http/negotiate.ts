import { notAcceptable } from '../status.ts';
import type { IncludeObject } from '../table/table.ts';

/** The form in which an answer is wanted (`Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json`). */
type Form =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly include: IncludeObject }
  | { readonly kind: 'metadata' }
  | { readonly kind: 'discovery' };

export interface Negotiated {
  readonly form: Form;
  readonly yaml: boolean;
}

interface MediaRange {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export function parseAccept(header: string | undefined): MediaRange[] {
  return (header === undefined || header === '' ? '*/*' : header).split(',').map((part) => {
    const [type = '', ...parameters] = part.split(';').map((item) => item.trim());
    const pairs = parameters.map((item): [string, string] => {
      const [key = '', value = ''] = item.split('=');
      return [key, value];
    });
    return { type: type.toLowerCase(), parameters: new Map(pairs) };
  });
}

export function negotiate(header: string | undefined, query: URLSearchParams): Negotiated {
  for (const { type, parameters } of parseAccept(header)) {
    const yaml = type === 'application/yaml';
    if (!yaml && !['application/json', 'application/*', '*/*'].includes(type)) continue;
    const as = parameters.get('as');
    if (as === undefined) return { form: { kind: 'object' }, yaml };
    if (as === 'Table') {
      const asked = query.get('includeObject');
      const include = asked === 'None' || asked === 'Object' ? asked : 'Metadata';
      return { form: { kind: 'table', include }, yaml };
    }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { form: { kind: 'metadata' }, yaml };
    if (as === 'APIGroupDiscoveryList' && parameters.get('v') === 'v2') return { form: { kind: 'discovery' }, yaml };
  }
  throw notAcceptable();
}
