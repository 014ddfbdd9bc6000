import type { StringMatch } from './match.ts';

/** What is asked of a JSON value. A value of another type does not match. */
export type ValueMatch =
  | { readonly kind: 'present' }
  | { readonly kind: 'string'; readonly match: StringMatch }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** A list with an element that matches. */
  | { readonly kind: 'element'; readonly match: ValueMatch }
  | { readonly kind: 'or'; readonly matches: readonly ValueMatch[] };
