import type { ProxyError } from '../http/errors.ts';
import type { Host } from './host.ts';

/** Endpoints of one priority that take traffic, and their share of it. */
export interface Level {
  readonly hosts: readonly Host[];
  readonly percent: number;
  /** How many there are, usable or not. */
  readonly total: number;
}

interface Usable {
  /** None: no endpoint takes traffic. */
  readonly levels: readonly Level[];
  /** Too few are healthy: those that are not get their share, so that the healthy are not overrun. */
  readonly panic: boolean;
}

/** Envoy's overprovisioning factor: a priority gives up traffic only when less than 1 / 1.4 of it is healthy. */
const OVERPROVISIONING_PERCENT = 140;

const weighs = (host: Host): boolean => host.weight > 0;
const isDraining = (host: Host): boolean => host.endpoint.health === 'draining';
const isAvailable = (host: Host): boolean =>
  host.endpoint.health === 'healthy' && host.outlier?.ejected !== true && host.health?.failed !== true;
/** Draining endpoints only finish what they have, as long as there are others; who asked for no traffic gets none. */
const counts = (host: Host): boolean => !isDraining(host) && host.health?.excluded !== true && weighs(host);

interface Priority {
  readonly all: readonly Host[];
  readonly available: readonly Host[];
  /** Percent of its share that it can take. */
  readonly health: number;
}

/**
 * The endpoints that take traffic, by priority as Envoy spreads it ("Priority levels", "Panic threshold"): the first takes
 * all as long as enough of it is healthy, the next what is left; where all together are too few, priorities that are
 * short of healthy endpoints use all that they have.
 */
export function usableHosts(hosts: readonly Host[], panicPercent: number): Usable {
  const priorities = prioritiesOf(hosts);
  const capacity = Math.min(
    100,
    priorities.reduce((sum, { health }) => sum + health, 0),
  );
  if (capacity === 0) return withoutHealthy(hosts, priorities, panicPercent);
  const panics = priorities.map(
    ({ all, available }) => capacity < 100 && available.length * 100 < all.length * panicPercent,
  );
  if (!panics.includes(false)) return byNumber(priorities);
  const loads = priorities.map(({ health }) => health);
  let left = 100;
  for (const [i, health] of loads.entries()) {
    const load = Math.min(left, Math.floor((health * 100) / capacity));
    loads[i] = load;
    left -= load;
  }
  const first = priorities.findIndex(({ health }) => health > 0);
  loads[first] = (loads[first] ?? 0) + left;
  const levels = priorities.flatMap(({ all, available }, i): Level[] => {
    const percent = loads[i] ?? 0;
    return percent === 0 ? [] : [{ hosts: panics[i] ? all : available, percent, total: all.length }];
  });
  return { levels, panic: panics.some((panic, i) => panic && (loads[i] ?? 0) > 0) };
}

function prioritiesOf(hosts: readonly Host[]): Priority[] {
  const groups = Map.groupBy(hosts.filter(counts), ({ endpoint }) => endpoint.priority);
  return [...groups]
    .sort(([a], [b]) => a - b)
    .map(([, all]) => {
      const available = all.filter(isAvailable);
      return {
        all,
        available,
        health: Math.min(100, Math.floor((OVERPROVISIONING_PERCENT * available.length) / all.length)),
      };
    });
}

function withoutHealthy(hosts: readonly Host[], priorities: readonly Priority[], panicPercent: number): Usable {
  if (priorities.length > 0) return panicPercent > 0 ? byNumber(priorities) : lastOnes(priorities);
  // They still serve, and nobody else does (KEP-1669).
  const last = hosts.every(isDraining) ? hosts : [];
  const draining = last.filter((host) => weighs(host) && host.health?.failed !== true);
  return {
    levels: draining.length === 0 ? [] : [{ hosts: draining, percent: 100, total: draining.length }],
    panic: false,
  };
}

/** Without panic: so few are healthy that they come to less than one percent, and nobody else may be used. */
function lastOnes(priorities: readonly Priority[]): Usable {
  const first = priorities.find(({ available }) => available.length > 0);
  if (first === undefined) return { levels: [], panic: false };
  return { levels: [{ hosts: first.available, percent: 100, total: first.all.length }], panic: false };
}

/** Everything is in panic: each priority gets what its number of endpoints is of all. */
function byNumber(priorities: readonly Priority[]): Usable {
  const total = priorities.reduce((sum, { all }) => sum + all.length, 0);
  const levels = priorities.map(({ all }) => ({
    hosts: all,
    percent: (all.length * 100) / total,
    total: all.length,
  }));
  return { levels, panic: true };
}

/** For who asks why nothing was sent: which endpoints there are, and why they take no traffic. */
function whyNone(hosts: readonly Host[]): string {
  if (hosts.length === 0) return 'it has no endpoints';
  const reasons = new Map<string, number>();
  for (const host of hosts) {
    const reason = reasonOf(host);
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  return `of ${hosts.length}: ${[...reasons].map(([reason, count]) => `${count} ${reason}`).join(', ')}`;
}

function reasonOf({ endpoint, health, outlier, weight }: Host): string {
  if (endpoint.health === 'draining') return 'draining';
  if (endpoint.health === 'unhealthy') return 'unhealthy by their assignment';
  if (health?.failed === true) return health.pending ? 'not checked yet' : 'failing health checks';
  if (outlier?.ejected === true) return 'ejected as outliers';
  return weight > 0 ? 'available' : 'without weight';
}

export const noHealthyUpstream = (cluster: string, hosts: readonly Host[]): ProxyError => ({
  source: 'internal',
  flag: 'UH',
  status: 503,
  retry: 'no',
  detail: `no healthy endpoint in cluster ${cluster}: ${whyNone(hosts)}`,
});
