import { setFlagsFromString } from 'node:v8';
import { err, ok, type Result } from './result.ts';

/** Long enough for routes by hand, short enough that compiling it costs nothing. */
export const REGEX_CHARACTERS_MAX = 1_024;

let linearEngine = false;

/**
 * Compiles a pattern that has to match the whole string, in time linear in the string: patterns come from policies and
 * strings from strangers, and a backtracking engine can be made to spin on both. V8 has such an engine behind a flag,
 * and refuses with it what it cannot run in linear time (backreferences, look-ahead, large counted repetitions).
 */
export function compileLinearRegex(pattern: string): Result<RegExp, string> {
  if (pattern.length > REGEX_CHARACTERS_MAX) return err(`pattern is longer than ${REGEX_CHARACTERS_MAX} characters`);
  // RE2, which Envoy runs the same patterns with, knows no look-around of any kind; V8 would take look-behind.
  if (/\(\?<?[=!]/.test(pattern)) return err('pattern looks ahead or behind, which does not run in linear time');
  if (!linearEngine) {
    setFlagsFromString('--enable-experimental-regexp-engine');
    linearEngine = true;
  }
  try {
    // Compiled alone first, so that no parenthesis of the pattern can close the group around it.
    new RegExp(pattern, 'l');
    return ok(new RegExp(`^(?:${pattern})$`, 'ls'));
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*\/[a-z]*: /, '') : String(error);
    return err(`pattern "${pattern}" is refused: ${reason}`);
  }
}
