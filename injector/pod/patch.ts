/** JSON Patch (RFC 6902), as far as a webhook needs it. */
export type PatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** A JSON pointer (RFC 6901 section 3: `~` and `/` in a name are escaped). */
export const pointer = (...names: readonly (string | number)[]): string =>
  names.map((name) => `/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** Sets members of a map that may not be there yet. */
export function setMembers(
  path: string,
  existing: Readonly<Record<string, string>> | undefined,
  members: Readonly<Record<string, string>>,
): PatchOperation[] {
  const entries = Object.entries(members);
  if (entries.length === 0) return [];
  if (existing === undefined) return [{ op: 'add', path, value: members }];
  return entries
    .filter(([name, value]) => existing[name] !== value)
    .map(([name, value]) => ({ op: 'add', path: `${path}${pointer(name)}`, value }));
}
