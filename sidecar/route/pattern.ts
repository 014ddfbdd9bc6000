import { setFlagsFromString } from 'node:v8';
import { err, ok, type Result, unreachable } from '@weft/policies/kit/result';
import type { StringMatch } from '@weft/policies/model/match';

/**
 * Regular expressions come from users and meet input from anybody, so that evaluation has to stay linear in the input.
 * V8 has such an engine: the flag `l` refuses what it cannot run (backreferences, lookaround), and a pattern that passed
 * is still run by the fast backtracking engine, which hands over to the linear one after this many backtracks.
 */
const BACKTRACKS_MAX = 10_000;
const PATTERN_CHARS_MAX = 1_024;

/** V8's linear engine can look behind, but RE2 cannot: a route has to mean the same in Envoy. */
const LOOKAROUND = /(?<!\\)(?:\\\\)*\(\?<?[=!]/;

let enabled = false;

function enableLinearEngine(): void {
  if (enabled) return;
  enabled = true;
  setFlagsFromString('--enable-experimental-regexp-engine');
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString(`--regexp-backtracks-before-fallback=${BACKTRACKS_MAX}`);
}

/** A pattern that has to match the whole string, as in Envoy and in the Gateway API; or what is wrong with it. */
export function compilePattern(pattern: string): Result<RegExp, string> {
  if (pattern.length > PATTERN_CHARS_MAX) {
    return err(`regular expression is longer than ${PATTERN_CHARS_MAX} characters`);
  }
  if (LOOKAROUND.test(pattern)) return err(`regular expression "${pattern}" uses lookaround, which is not allowed`);
  enableLinearEngine();
  try {
    new RegExp(pattern);
    const anchored = `^(?:${pattern})$`;
    new RegExp(anchored, 'l');
    return ok(new RegExp(anchored));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return err(`regular expression "${pattern}" is not usable: ${reason}; backreferences are not allowed`);
  }
}

/** A compiled StringMatch. One class for all kinds, so that call sites stay monomorphic. */
export class StringMatcher {
  private readonly kind: StringMatch['kind'];
  private readonly value: string;
  private readonly ignoreCase: boolean;
  private readonly regex: RegExp | undefined;
  /** What is wrong with it; such a matcher matches nothing, and its owner decides what that means. */
  readonly broken: string | undefined;

  constructor(match: StringMatch) {
    this.kind = match.kind;
    this.ignoreCase = match.kind !== 'regex' && match.ignoreCase;
    this.value = this.ignoreCase ? match.value.toLowerCase() : match.value;
    this.regex = undefined;
    this.broken = undefined;
    if (match.kind === 'regex') {
      const compiled = compilePattern(match.value);
      if (compiled.ok) this.regex = compiled.value;
      else this.broken = compiled.error;
    }
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
