import { networkOf } from '../../net/addresses.ts';
import type { LogEntry } from './entry.ts';

/** Of `ip:port` or `[ip]:port`. */
const portAt = (address: string): number => address.lastIndexOf(':');

export const withoutPort = (address: string): string | undefined => {
  if (address === '') return undefined;
  const ip = address.slice(0, portAt(address));
  return ip.startsWith('[') ? ip.slice(1, -1) : ip;
};

export const portOf = (address: string): number | undefined =>
  address === '' ? undefined : Number(address.slice(portAt(address) + 1));

/** Who the request comes from: behind trusted proxies the address that they forwarded, the port of which nobody knows. */
export const clientIp = ({ record, http }: LogEntry, trustedHops: number): string | undefined =>
  trustedHops === 0 || http === undefined ? withoutPort(record.remote) : http.clientIp;

export function clientAddress(entry: LogEntry, trustedHops: number): string | undefined {
  const ip = clientIp(entry, trustedHops);
  if (ip === undefined || ip === withoutPort(entry.record.remote)) return entry.record.remote || undefined;
  return ip.includes(':') ? `[${ip}]:0` : `${ip}:0`;
}

/** In CIDR notation. */
export const network = (ip: string | number | undefined, bits: number): string | undefined =>
  typeof ip === 'string' ? networkOf(ip, bits) : undefined;
