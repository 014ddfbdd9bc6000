import type { Cluster } from '@weft/policies/model/cluster';

type DnsDiscovery = Extract<Cluster['discovery'], { kind: 'strict-dns' }>;

const isV6 = (ip: string): boolean => ip.includes(':');

/** Which of a name's addresses become endpoints. */
export function chosenAddresses(
  ips: readonly string[],
  { family, first }: Pick<DnsDiscovery, 'family' | 'first'>,
): readonly string[] {
  let chosen = ips;
  if (family === 'v6') chosen = ips.filter(isV6);
  else if (family !== undefined) {
    const v4 = ips.filter((ip) => !isV6(ip));
    if (family === 'v4' || v4.length > 0) chosen = v4;
  }
  return first === true ? chosen.slice(0, 1) : chosen;
}
