export type StringMatch =
  | { readonly kind: 'exact'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'prefix'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'suffix'; readonly value: string; readonly ignoreCase: boolean }
  | { readonly kind: 'contains'; readonly value: string; readonly ignoreCase: boolean }
  /** Whole-string match; the pattern is checked for linear-time evaluation when it is parsed. */
  | { readonly kind: 'regex'; readonly value: string };

export interface HeaderMatch {
  /** Lower case; `:method`, `:path`, `:authority`, `:scheme` for the pseudo-fields. */
  readonly name: string;
  readonly value: { readonly kind: 'present' } | StringMatch;
  readonly invert: boolean;
}

export interface QueryParameterMatch {
  readonly name: string;
  readonly value: { readonly kind: 'present' } | StringMatch;
}
