/** Whole-string patterns of configuration, compiled once. Their linear-time evaluation was checked when they were parsed. */
const COMPILED_MAX = 256;
const compiled = new Map<string, RegExp>();

export function linearRegex(pattern: string): RegExp {
  let regex = compiled.get(pattern);
  if (regex === undefined) {
    if (compiled.size >= COMPILED_MAX) compiled.clear();
    regex = new RegExp(`^(?:${pattern})$`);
    compiled.set(pattern, regex);
  }
  return regex;
}
