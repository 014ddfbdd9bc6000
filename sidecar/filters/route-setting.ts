import type { Route } from '@weft/policies/model/route';
import type { RouteFilter } from '@weft/policies/model/route-filter';

/** What the route sets of the filter of that name. */
export function routeSetting<Kind extends RouteFilter['kind']>(
  route: Route,
  kind: Kind,
  name: string,
): Extract<RouteFilter, { readonly kind: Kind }> | undefined {
  const { filters } = route;
  if (filters === undefined) return undefined;
  for (const filter of filters) if (filter.name === name && isOf(filter, kind)) return filter;
  return undefined;
}

const isOf = <Kind extends RouteFilter['kind']>(
  filter: RouteFilter,
  kind: Kind,
): filter is Extract<RouteFilter, { readonly kind: Kind }> => filter.kind === kind;
