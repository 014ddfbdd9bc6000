import type { Host } from './host.ts';

export interface Usable {
  readonly hosts: readonly Host[];
  /** Too few are healthy: those that are not get their share, so that the healthy are not overrun. */
  readonly panic: boolean;
}

const weighs = (host: Host): boolean => host.weight > 0;
const isDraining = (host: Host): boolean => host.endpoint.health === 'draining';
const isAvailable = (host: Host): boolean =>
  host.endpoint.health === 'healthy' && host.outlier?.ejected !== true && host.health?.failed !== true;
/** Draining endpoints only finish what they have, as long as there are others; who asked for no traffic gets none. */
const counts = (host: Host): boolean => !isDraining(host) && host.health?.excluded !== true;

/**
 * The endpoints that take traffic: those of the lowest priority number of which enough are available
 * (Envoy's healthy_panic_threshold); where no priority has enough, all of the first that has any.
 */
export function usableHosts(hosts: readonly Host[], panicPercent: number): Usable {
  const priorities = [...new Set(hosts.map(({ endpoint }) => endpoint.priority))].sort((a, b) => a - b);
  let last: Usable = { hosts: [], panic: false };
  for (const priority of priorities) {
    const level = hosts.filter((host) => host.endpoint.priority === priority && counts(host));
    const available = level.filter(isAvailable);
    if (level.length === 0) continue;
    const enough = available.length * 100 >= level.length * panicPercent;
    if (enough && available.some(weighs)) return { hosts: available, panic: false };
    if (last.hosts.length === 0 && panicPercent > 0 && level.some(weighs)) last = { hosts: level, panic: true };
  }
  // They still serve, and nobody else does (KEP-1669).
  if (hosts.every(isDraining))
    return { hosts: hosts.filter((host) => weighs(host) && host.health?.failed !== true), panic: false };
  return last;
}

/** For who asks why nothing was sent: which endpoints there are, and why they take no traffic. */
export function whyNone(hosts: readonly Host[]): string {
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
