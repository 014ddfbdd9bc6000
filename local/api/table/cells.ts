import { asArray, asObject, asString, at, type Json, type JsonObject } from '../json.ts';
import type { Column } from '../kinds/resource.ts';
import { metaOf } from '../object.ts';

/** Building blocks of server-side tables. */
export type Cell = string | number | boolean | null;

/** Ages as kubectl prints them: 45s, 12m, 3h20m, 5d2h, 400d, 2y30d. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  const pair = (big: number, bigUnit: string, small: number, smallUnit: string): string =>
    small === 0 ? `${big}${bigUnit}` : `${big}${bigUnit}${small}${smallUnit}`;
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (days < 8) return pair(days, 'd', hours % 24, 'h');
  if (days < 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  return years < 8 ? pair(years, 'y', days % 365, 'd') : `${years}y`;
}

export function since(time: Json | undefined, nowMs: number): string {
  const parsed = Date.parse(asString(time));
  return Number.isNaN(parsed) ? '<unknown>' : humanDuration(nowMs - parsed);
}

export const ageOf = (object: JsonObject, nowMs: number): string => since(metaOf(object)['creationTimestamp'], nowMs);

interface ColumnOptions {
  readonly type?: Column['type'];
  readonly wide?: boolean;
  readonly format?: string;
}

export function column(name: string, cell: Column['cell'], options: ColumnOptions = {}): Column {
  return {
    name,
    type: options.type ?? 'string',
    format: options.format ?? '',
    description: `${name} of the object`,
    priority: options.wide === true ? 1 : 0,
    cell,
  };
}

export const nameColumn: Column = column('Name', (object) => asString(metaOf(object)['name']), { format: 'name' });
export const ageColumn: Column = column('Age', ageOf);

export const countOf = (value: Json | undefined): number =>
  Array.isArray(value) ? value.length : Object.keys(asObject(value) ?? {}).length;

export const joined = (items: readonly string[], none = '<none>'): string =>
  items.length === 0 ? none : items.join(',');

/** At most three items and how many more there are. */
export function shortened(items: readonly string[], max = 3): string {
  if (items.length === 0) return '<unset>';
  return items.length <= max ? items.join(',') : `${items.slice(0, max).join(',')} + ${items.length - max} more...`;
}

export function labelsText(selector: Json | undefined): string {
  const labels = Object.entries(asObject(selector) ?? {}).map(([key, value]) => `${key}=${value}`);
  return joined(labels);
}

export function containersOf(object: JsonObject, ...path: string[]): JsonObject[] {
  return asArray(at(object, ...path, 'containers')).filter(
    (item: Json): item is JsonObject => asObject(item) !== undefined,
  );
}
