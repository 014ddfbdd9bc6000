import { compileLinearRegex } from '@weft/policies/kit/linear-regex';
import type { ClusterRow } from '../../cluster/rows.ts';
import type { ListenerStats } from '../../listener/manager.ts';
import type { NamedCounters } from '../../telemetry/exchange-counters.ts';

/** Everything that is counted, under Envoy's names. */
export function statistics(
  managers: NamedCounters,
  clusters: readonly ClusterRow[],
  listeners: readonly ListenerStats[],
): Map<string, number> {
  const all = new Map(Object.entries(managers));
  for (const { cluster, stats } of clusters) {
    for (const [name, value] of Object.entries(stats)) all.set(`cluster.${cluster.name}.${name}`, value);
  }
  for (const { addresses, connections } of listeners) {
    for (const { ip, port } of addresses) all.set(`listener.${statName(ip, port)}.downstream_cx_active`, connections);
  }
  return all;
}

/** Envoy keeps dots for the levels of a name in some places, and not for those of an address. */
const statName = (ip: string, port: number): string =>
  `${ip.includes(':') ? `[${ip}]` : ip}_${port}`.replaceAll(':', '_');

/** What goes up and down is not set back. */
const isGauge = (name: string): boolean =>
  /(?:_active|membership_total|membership_healthy|membership_excluded|health_check\.healthy)$/.test(name);

/** Counters count from here on; those of Prometheus go on as they were, since a reset looks like a restart there. */
export class Baseline {
  private zero: ReadonlyMap<string, number> = new Map();

  reset(now: ReadonlyMap<string, number>): void {
    this.zero = now;
  }

  since(now: ReadonlyMap<string, number>): Map<string, number> {
    const values = new Map<string, number>();
    for (const [name, value] of now) {
      values.set(name, isGauge(name) ? value : Math.max(0, value - (this.zero.get(name) ?? 0)));
    }
    return values;
  }
}

interface StatsQuery {
  readonly usedOnly: boolean;
  /** Regular expression; empty: all. */
  readonly filter: string;
}

/** Undefined: the filter is no expression that can be evaluated in linear time. */
export function selectStatistics(
  values: ReadonlyMap<string, number>,
  { usedOnly, filter }: StatsQuery,
): readonly (readonly [string, number])[] | undefined {
  let wanted = (_name: string): boolean => true;
  if (filter !== '') {
    const whole = compileLinearRegex(`.*(?:${filter}).*`);
    if (!whole.ok) return undefined;
    wanted = (name) => whole.value.test(name);
  }
  return [...values]
    .filter(([name, value]) => wanted(name) && (!usedOnly || value !== 0))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

export const statsText = (rows: readonly (readonly [string, number])[]): string =>
  rows.map(([name, value]) => `${name}: ${value}\n`).join('');

export const statsJson = (rows: readonly (readonly [string, number])[]): string =>
  JSON.stringify({ stats: rows.map(([name, value]) => ({ name, value })) });
