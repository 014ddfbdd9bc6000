/** What golden files leave out: undefined fields, and mutations that change nothing. */

const isEmptyMutation = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  Object.entries(value).length === 3 &&
  ['set', 'add', 'remove'].every((field) =>
    Array.isArray(Object.entries(value).find(([name]) => name === field)?.[1]),
  ) &&
  Object.values(value).every((list) => Array.isArray(list) && list.length === 0);

export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value ?? null, (_key, inner: unknown) => (isEmptyMutation(inner) ? undefined : inner)),
  );
}
