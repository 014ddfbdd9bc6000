import type { ResourceKind, ResourceMap } from '@weft/policies/model/snapshot';
import type { ServedConfig } from './pages/config-dump.ts';

type Entry<T> = { readonly value: T } | { readonly absent: true };
type Tables = { readonly [K in ResourceKind]: ReadonlyMap<string, Entry<ResourceMap[K]>> };

const valuesOf = <T>(table: ReadonlyMap<string, Entry<T>>): readonly T[] =>
  [...table.values()].flatMap((entry) => ('value' in entry ? [entry.value] : []));

/** What the control plane has sent, for the admin interface. */
export const servedBy = (tables: Tables): ServedConfig => ({
  listeners: valuesOf(tables.listener),
  clusters: valuesOf(tables.cluster),
  routes: valuesOf(tables.route),
  endpoints: valuesOf(tables.endpoints),
  static: false,
});
