import type { Host } from './host.ts';

export interface Usable {
  readonly hosts: readonly Host[];
  /** Too few are healthy: those that are not get their share, so that the healthy are not overrun. */
  readonly panic: boolean;
}

const weighs = (host: Host): boolean => host.weight > 0;
const isAvailable = (host: Host): boolean => host.endpoint.health === 'healthy' && host.outlier?.ejected !== true;
/** Draining endpoints only finish what they have, as long as there are others. */
const counts = (host: Host): boolean => host.endpoint.health !== 'draining';

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
  if (!hosts.some(counts)) return { hosts: hosts.filter(weighs), panic: false };
  return last;
}
