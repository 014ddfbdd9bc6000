import type { HeaderMatch } from '@weft/policies/model/match';
import type { RequestHead } from '../http/exchange.ts';
import { StringMatcher } from './pattern.ts';

/** Value of a field or pseudo-field; several fields of one name are joined (RFC 9110 section 5.3). */
function fieldValue(head: RequestHead, name: string): string | undefined {
  if (name.charCodeAt(0) !== 0x3a) return head.headers.combined(name);
  switch (name) {
    case ':method':
      return head.method;
    case ':path':
      return head.path;
    case ':authority':
      return head.authority;
    case ':scheme':
      return head.scheme;
    default:
      return undefined;
  }
}

/** A compiled HeaderMatch. */
export class HeaderMatcher {
  private readonly name: string;
  private readonly value: StringMatcher | undefined;
  private readonly invert: boolean;

  constructor(match: HeaderMatch) {
    this.name = match.name;
    this.value = match.value.kind === 'present' ? undefined : new StringMatcher(match.value);
    this.invert = match.invert;
  }

  test(head: RequestHead): boolean {
    const value = fieldValue(head, this.name);
    if (this.value === undefined) return (value !== undefined) !== this.invert;
    // As in Envoy: what is said of the value of an absent field is false, inverted or not.
    return value !== undefined && this.value.test(value) !== this.invert;
  }
}
