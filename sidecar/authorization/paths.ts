/** Segments that name one of many things: numbers, UUIDs, long hexadecimal, and what is too long to be a word. */
const ID = /^(?:\d+|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{12,}|(?=.*\d)[-\w.~%]{20,})$/i;

/** `/orders/17/items` and `/orders/18/items` are `/orders/{}/items`. */
export const templateOf = (path: string): string =>
  path
    .split('/')
    .map((segment) => (ID.test(segment) ? '{}' : segment))
    .join('/');

export function withoutQuery(target: string): string {
  const mark = target.indexOf('?');
  return mark < 0 ? target : target.slice(0, mark);
}
