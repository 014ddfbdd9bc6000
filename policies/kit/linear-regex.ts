import { setFlagsFromString } from 'node:v8';
import { err, ok, type Result } from './result.ts';

/** Long enough for routes by hand, short enough that compiling it costs nothing. */
export const REGEX_CHARACTERS_MAX = 1_024;

/** After this many steps back a match goes on in the linear engine. */
const BACKTRACKS_MAX = 10_000;

/** RE2, which Envoy runs the same patterns with, knows no look-around of any kind; V8 would take look-behind. */
const LOOKAROUND = /(?<!\\)(?:\\\\)*\(\?<?[=!]/;

/** The flag of an expression for V8's linear engine. */
const LINEAR = 'l';

/** With these flags V8 takes no code that was compiled ahead without them. */
export function enableLinearEngine(): void {
  if (linearEngineIsEnabled()) return;
  setFlagsFromString('--enable-experimental-regexp-engine');
  setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString(`--regexp-backtracks-before-fallback=${BACKTRACKS_MAX}`);
}

/** Whoever in the process enabled it: a bundle has its own copy of this module, but V8's flags are the process's. */
export function linearEngineIsEnabled(): boolean {
  try {
    // As a literal it would be an error of syntax where the flag is unknown.
    return new RegExp('', LINEAR).flags === LINEAR;
  } catch {
    return false;
  }
}

/**
 * Compiles a pattern that has to match the whole string, in time linear in the string: patterns come from policies and
 * strings from strangers, and a backtracking engine can be made to spin on both. V8 has such an engine behind a flag,
 * and refuses with it what it cannot run in linear time (backreferences, look-ahead, large counted repetitions). What
 * passed is run by the usual engine, several times as fast, which hands over to the linear one before it spins.
 */
export function compileLinearRegex(pattern: string): Result<RegExp, string> {
  // Compiled alone first, so that no parenthesis of the pattern can close the group around it.
  const alone = compileLinearPart(pattern);
  return alone.ok ? compileChecked(`^(?:${pattern})$`, 's', pattern) : alone;
}

/** The same of a pattern that is looked for all over a string. */
export function compileLinearPart(pattern: string): Result<RegExp, string> {
  if (pattern.length > REGEX_CHARACTERS_MAX) return err(`pattern is longer than ${REGEX_CHARACTERS_MAX} characters`);
  if (LOOKAROUND.test(pattern)) return err('pattern looks ahead or behind, which does not run in linear time');
  return compileChecked(pattern, 'gs', pattern);
}

function compileChecked(source: string, flags: string, pattern: string): Result<RegExp, string> {
  enableLinearEngine();
  try {
    new RegExp(source, `l${flags.replace('g', '')}`);
    return ok(new RegExp(source, flags));
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^.*\/[a-z]*: /, '') : String(error);
    return err(`pattern "${pattern}" is refused: ${reason}`);
  }
}

/** Bounds patterns that are compiled and kept; more than a configuration has. */
const COMPILED_MAX = 1_024;
const compiled = new Map<string, RegExp>();

/** A pattern that was checked when its configuration was decoded. */
export function linearRegex(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const made = compileLinearRegex(pattern);
  if (!made.ok) throw new Error(`decoding let a pattern through: ${made.error}`);
  if (compiled.size >= COMPILED_MAX) compiled.clear();
  compiled.set(pattern, made.value);
  return made.value;
}
