/** The little language of AuthorizationPolicy values: exact, or with one `*` at the start or at the end. */
import type { StringMatch } from '@weft/policies/model/match';

export type Pattern = { readonly kind: 'any' } | (StringMatch & { readonly kind: 'exact' | 'prefix' | 'suffix' });

export function parsePattern(text: string, ignoreCase = false): Pattern {
  if (text === '*') return { kind: 'any' };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1), ignoreCase };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1), ignoreCase };
  return { kind: 'exact', value: text, ignoreCase };
}

export const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
