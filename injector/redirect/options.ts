import { isIP, isIPv4, isIPv6 } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Endpoint } from './ruleset.ts';

/** Lists as they stand in annotations and in the environment of `weft-init`: separated by commas, blanks around allowed, empty means none. */

const ENTRIES_MAX = 256;

function parseList<T>(text: string, what: string, parse: (entry: string) => T | undefined): Result<T[], string> {
  const entries = text.trim() === '' ? [] : text.split(',').map((entry) => entry.trim());
  if (entries.length > ENTRIES_MAX) return err(`has ${entries.length} entries, more than ${ENTRIES_MAX}`);
  const values: T[] = [];
  for (const entry of entries) {
    const value = parse(entry);
    if (value === undefined) return err(`"${entry}" is not ${what}`);
    values.push(value);
  }
  return ok(values);
}

export function parsePort(text: string): number | undefined {
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65535 ? port : undefined;
}

function parseCidr(text: string): string | undefined {
  const [address = '', length, extra] = text.split('/');
  const family = isIP(address);
  if (family === 0 || address.includes('%') || extra !== undefined) return undefined;
  const bits = family === 4 ? 32 : 128;
  if (length === undefined) return `${address}/${bits}`;
  return /^[0-9]{1,3}$/.test(length) && Number(length) <= bits ? text : undefined;
}

/** `10.0.0.1:443` or `[fd00::1]:443`. */
function parseEndpoint(text: string): Endpoint | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:]+)):([0-9]+)$/.exec(text);
  const port = parsePort(parts?.[3] ?? '');
  if (parts === null || port === undefined) return undefined;
  if (parts[1] !== undefined) return isIPv6(parts[1]) ? { address: parts[1], port } : undefined;
  return parts[2] !== undefined && isIPv4(parts[2]) ? { address: parts[2], port } : undefined;
}

export const parsePortList = (text: string): Result<number[], string> =>
  parseList(text, 'a port between 1 and 65535', parsePort);
export const parseCidrList = (text: string): Result<string[], string> =>
  parseList(text, 'an address range such as 10.0.0.0/8 or fd00::/8', parseCidr);
export const parseEndpointList = (text: string): Result<Endpoint[], string> =>
  parseList(text, 'an address and port such as 10.0.0.1:443 or [fd00::1]:443', parseEndpoint);
