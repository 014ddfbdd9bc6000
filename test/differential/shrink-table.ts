/** Leaves out of a route table what a difference does not need. Each try is a start of both proxies, so that few are made. */
import type { JsonObject } from '../support/pair-bootstrap.ts';
import type { Table } from './case.ts';

const list = (value: JsonObject[string] | undefined): readonly JsonObject[] =>
  Array.isArray(value) ? (value as readonly JsonObject[]) : [];

const without = <T>(all: readonly T[], index: number): readonly T[] => all.filter((_, i) => i !== index);

/** Tables with one thing less, the largest things first. */
function* smaller(table: Table): Generator<Table> {
  if (table.filters.length > 0) yield { ...table, filters: [] };
  for (const i of table.virtualHosts.keys()) {
    if (table.virtualHosts.length > 1) yield { ...table, virtualHosts: without(table.virtualHosts, i) };
  }
  for (const [i, host] of table.virtualHosts.entries()) {
    const routes = list(host['routes']);
    const withRoutes = (fewer: readonly JsonObject[]): Table => ({
      ...table,
      virtualHosts: table.virtualHosts.map((one, at) => (at === i ? { ...one, routes: fewer } : one)),
    });
    if (routes.length > 3) {
      const half = Math.ceil(routes.length / 2);
      yield withRoutes(routes.slice(half));
      yield withRoutes(routes.slice(0, half));
    }
    for (const at of routes.keys()) if (routes.length > 1) yield withRoutes(without(routes, at));
  }
}

/** `differs` starts both proxies with a table. */
export async function shrinkTable(
  table: Table,
  differs: (smaller: Table) => Promise<boolean>,
  triesMax: number,
): Promise<Table> {
  let smallest = table;
  let tries = 0;
  for (let found = true; found && tries < triesMax; ) {
    found = false;
    for (const candidate of smaller(smallest)) {
      if (++tries > triesMax) break;
      if (!(await differs(candidate))) continue;
      smallest = candidate;
      found = true;
      break;
    }
  }
  return smallest;
}
