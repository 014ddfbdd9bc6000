/** The little language of AuthorizationPolicy values: exact, or with one `*` at the start or at the end. */
import { canonicalCharacters } from '@weft/policies/kit/path-characters';
import type { StringMatch } from '@weft/policies/model/match';

export type Pattern = { readonly kind: 'any' } | (StringMatch & { readonly kind: 'exact' | 'prefix' | 'suffix' });

export function parsePattern(text: string, ignoreCase = false): Pattern {
  if (text === '*') return { kind: 'any' };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1), ignoreCase };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1), ignoreCase };
  return { kind: 'exact', value: text, ignoreCase };
}

export const escapeRegex = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/**
 * Of a path, in the characters that requests are judged in: `/~me` and `/%7Eme` are one. A path with braces is a
 * template: a name stands for a whole segment, `{**}` for any rest.
 */
export function pathPattern(text: string): { readonly kind: 'any' } | StringMatch {
  if (text.includes('{')) return { kind: 'regex', value: templateRegex(text) };
  const pattern = parsePattern(text);
  return pattern.kind === 'any' ? pattern : { ...pattern, value: canonicalPath(pattern.value) };
}

const BEYOND_ASCII = /[^\u0021-\u007e]+/g;

function canonicalPath(text: string): string {
  const ascii = text.toWellFormed().replaceAll(BEYOND_ASCII, encodeURIComponent);
  return canonicalCharacters(ascii, ascii.length) ?? ascii;
}

const templateRegex = (text: string): string =>
  text
    .split(/(\{[^}]*\})/)
    .map((part) => {
      if (part === '{**}') return '.*';
      return part.startsWith('{') ? '[^/]+' : escapeRegex(canonicalPath(part));
    })
    .join('');
