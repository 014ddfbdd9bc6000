import { compileLinearPart } from './linear-regex.ts';
import { err, ok, type Result } from './result.ts';

/** Puts a substitution in the place of whatever the pattern finds in a text. */
export type Replace = (text: string) => string;

/** As RE2's GlobalReplace: `\0` to `\9` stand for groups, `\\` for a backslash. In time linear in the text. */
export function compileReplacement(pattern: string, substitution: string): Result<Replace, string> {
  const regex = compileLinearPart(pattern);
  if (!regex.ok) return regex;
  const parts = partsOf(substitution);
  if (parts === undefined) return err('a backslash in a substitution stands before a digit or another backslash');
  const groups = new RegExp(`${pattern}|`).exec('')?.length ?? 1;
  const beyond = parts.find((part) => typeof part === 'number' && part >= groups);
  if (beyond !== undefined) return err(`the pattern has no group ${beyond}`);
  return ok((text) =>
    text.replace(regex.value, (...found: readonly unknown[]) => {
      let value = '';
      for (const part of parts) value += typeof part === 'string' ? part : String(found[part] ?? '');
      return value;
    }),
  );
}

/** Text and numbers of groups in turn; undefined: a backslash that means nothing. */
function partsOf(substitution: string): readonly (string | number)[] | undefined {
  const parts: (string | number)[] = [];
  for (const [token] of substitution.matchAll(/\\.|\\$|[^\\]+/gs)) {
    if (!token.startsWith('\\')) parts.push(token);
    else if (token === '\\\\') parts.push('\\');
    else if (/^\\\d$/.test(token)) parts.push(Number(token[1]));
    else return undefined;
  }
  return parts;
}
