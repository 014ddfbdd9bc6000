import { linearRegex } from '@weft/policies/kit/linear-regex';
import { unreachable } from '@weft/policies/kit/result';
import type { StringMatch } from '@weft/policies/model/match';

/** A compiled StringMatch. One class for all kinds, so that call sites stay monomorphic. */
export class StringMatcher {
  private readonly kind: StringMatch['kind'];
  private readonly value: string;
  private readonly ignoreCase: boolean;
  private readonly regex: RegExp | undefined;

  constructor(match: StringMatch) {
    this.kind = match.kind;
    this.ignoreCase = match.kind !== 'regex' && match.ignoreCase;
    this.value = this.ignoreCase ? match.value.toLowerCase() : match.value;
    this.regex = match.kind === 'regex' ? linearRegex(match.value) : undefined;
  }

  test(text: string): boolean {
    const subject = this.ignoreCase ? text.toLowerCase() : text;
    switch (this.kind) {
      case 'exact':
        return subject === this.value;
      case 'prefix':
        return subject.startsWith(this.value);
      case 'suffix':
        return subject.endsWith(this.value);
      case 'contains':
        return subject.includes(this.value);
      case 'regex':
        return this.regex?.test(subject) ?? false;
      default:
        return unreachable(this.kind);
    }
  }
}
