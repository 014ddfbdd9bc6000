import type { HeaderMatch } from '@weft/policies/model/match';
import type { RequestHead } from '../http/exchange.ts';
import type { Headers } from '../http/headers.ts';
import { StringMatcher } from './pattern.ts';

/** Value of a pseudo-field. */
export function pseudoField(head: RequestHead, name: string): string | undefined {
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

/** Host is the authority by then, wherever it was said (RFC 9112 section 3.2.2, RFC 9113 section 8.3.1), as in Envoy. */
export const pseudoNameOf = (lowerName: string): string | undefined => {
  if (lowerName === 'host') return ':authority';
  return lowerName.startsWith(':') ? lowerName : undefined;
};

/** A compiled HeaderMatch. */
export class HeaderMatcher {
  private readonly name: string;
  private readonly pseudo: string | undefined;
  private readonly value: StringMatcher | undefined;
  private readonly invert: boolean;

  constructor(match: HeaderMatch) {
    this.name = match.name;
    this.pseudo = pseudoNameOf(match.name);
    this.value = match.value.kind === 'present' ? undefined : new StringMatcher(match.value);
    this.invert = match.invert;
  }

  test(head: RequestHead): boolean {
    if (this.pseudo !== undefined) {
      const value = pseudoField(head, this.pseudo);
      if (this.value === undefined) return (value !== undefined) !== this.invert;
      return value !== undefined && this.value.test(value) !== this.invert;
    }
    return this.testFields(head.headers);
  }

  /** As in Envoy: of a repeated field, one line has to match, or none where the match is inverted. */
  testFields(headers: Headers): boolean {
    const matcher = this.value;
    const count = headers.length;
    let present = false;
    for (let i = 0; i < count; i++) {
      if (headers.lowerAt(i) !== this.name) continue;
      if (matcher?.test(headers.valueAt(i)) === true) return !this.invert;
      present = true;
    }
    if (matcher === undefined) return present !== this.invert;
    // What is said of the value of an absent field is false, inverted or not.
    return present && this.invert;
  }
}
