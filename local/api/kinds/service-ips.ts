import { isIP } from 'node:net';
import { asString, asStrings, at, clone, ensure, type JsonObject } from '../json.ts';
import { type Cause, invalidValue } from '../status.ts';
import type { Store } from '../store/store.ts';

/** ClusterIPs by ipFamilies and ipFamilyPolicy (Service API, "dual-stack"). What is in use is read from the store: nothing can leak. */
type Family = 'IPv4' | 'IPv6';

interface Range {
  readonly family: Family;
  readonly base: bigint;
  readonly size: bigint;
}

export function ipToNumber(ip: string): bigint {
  if (isIP(ip) === 4) return ip.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = ip.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const words = [...left, ...Array.from({ length: 8 - left.length - right.length }, () => '0'), ...right];
  return words.reduce((sum, word) => sum * 65536n + BigInt(`0x${word}`), 0n);
}

export function numberToIp(value: bigint, family: Family): string {
  if (family === 'IPv4') return [24n, 16n, 8n, 0n].map((shift) => Number((value >> shift) & 255n)).join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - i * 16)) & 0xffffn).toString(16)).join(':');
  // RFC 5952: the longest run of zero words is shortened.
  const runs = [...words.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].sort((a, b) => b[0].length - a[0].length);
  const run = runs[0];
  if (run?.[1] === undefined) return words;
  const start = run.index + (run[0].startsWith(':') ? 1 : 0);
  return `${words.slice(0, start).replace(/:$/, '')}::${words.slice(start + run[1].length).replace(/^:/, '')}`;
}

function rangeOf(cidr: string): Range {
  const [ip = '', bits = ''] = cidr.split('/');
  const family: Family = isIP(ip) === 6 ? 'IPv6' : 'IPv4';
  const width = BigInt((family === 'IPv6' ? 128 : 32) - Number(bits));
  return { family, base: (ipToNumber(ip) >> width) << width, size: 1n << width };
}

export class ServiceIps {
  readonly #ranges: readonly Range[];
  readonly #store: Store;

  constructor(cidrs: readonly string[], store: Store) {
    this.#ranges = cidrs.map(rangeOf);
    this.#store = store;
  }

  /** The first address of each range: the `kubernetes` Service. */
  firstIps(): string[] {
    return this.#ranges.map((range) => numberToIp(range.base + 1n, range.family));
  }

  #isOurs(ip: string): boolean {
    return this.#ranges.some((range) => {
      const offset = ipToNumber(ip) - range.base;
      return (isIP(ip) === 6) === (range.family === 'IPv6') && offset > 0n && offset < range.size;
    });
  }

  /** After a start with other ranges: Services get addresses that lead somewhere. How many did. */
  renumber(): number {
    let count = 0;
    for (const stored of this.#store.list('/services')) {
      const ips = asStrings(at(stored.object, 'spec', 'clusterIPs'));
      if (ips.every((ip) => ip === 'None' || this.#isOurs(ip))) continue;
      const object = clone(stored.object);
      const spec = ensure(object, 'spec');
      const isApi = stored.namespace === 'default' && stored.name === 'kubernetes';
      delete spec['clusterIP'];
      delete spec['clusterIPs'];
      if (isApi) spec['clusterIPs'] = this.firstIps();
      const causes = this.assign(object, undefined);
      if (causes.length > 0) {
        console.error(
          `api: Service ${stored.namespace}/${stored.name}: ${causes.map((item) => item.message).join('; ')}`,
        );
        continue;
      }
      if (this.#store.update('/services', object, stored.revision).ok) count++;
    }
    return count;
  }

  #used(except: string): Set<string> {
    const used = new Set(this.firstIps());
    for (const stored of this.#store.list('/services')) {
      if (`${stored.namespace}/${stored.name}` === except) continue;
      for (const ip of asStrings(at(stored.object, 'spec', 'clusterIPs'))) used.add(ip);
    }
    return used;
  }

  #allocate(range: Range, used: ReadonlySet<string>): string | undefined {
    const usable = range.size - 2n;
    // Random start, so that a deleted Service's address is not at once another's.
    const start = BigInt(Math.floor(Math.random() * Number(usable > 65000n ? 65000n : usable)));
    for (let step = 0n; step < usable && step < 70000n; step++) {
      const ip = numberToIp(range.base + 1n + ((start + step) % usable), range.family);
      if (!used.has(ip)) return ip;
    }
    return undefined;
  }

  /** Fills ipFamilies, ipFamilyPolicy, clusterIP and clusterIPs; what cannot be had is returned as causes. */
  assign(service: JsonObject, old: JsonObject | undefined): Cause[] {
    const spec = ensure(service, 'spec');
    if (spec['type'] === 'ExternalName') {
      for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) delete spec[field];
      return [];
    }
    const oldIps = asStrings(at(old, 'spec', 'clusterIPs'));
    if (oldIps.length > 0 && asString(spec['clusterIP']) === '') spec['clusterIP'] = oldIps[0] ?? '';
    if (oldIps.length > 0 && asStrings(spec['clusterIPs']).length === 0) spec['clusterIPs'] = oldIps;
    const asked =
      asStrings(spec['clusterIPs']).length > 0
        ? asStrings(spec['clusterIPs'])
        : [asString(spec['clusterIP'])].filter((ip) => ip !== '');
    const families = this.#families(spec, asked, old);
    if ('cause' in families) return [families.cause];
    spec['ipFamilies'] = families.list;
    if (asked[0] === 'None') {
      spec['clusterIP'] = 'None';
      spec['clusterIPs'] = ['None'];
      return [];
    }
    const used = this.#used(
      `${asString(at(service, 'metadata', 'namespace'))}/${asString(at(service, 'metadata', 'name'))}`,
    );
    const ips: string[] = [];
    for (const [index, family] of families.list.entries()) {
      const ip = this.#one(
        family,
        asked[index],
        used,
        index,
        asked[index] !== undefined && !oldIps.includes(asked[index]),
      );
      if (typeof ip !== 'string') return [ip];
      ips.push(ip);
      used.add(ip);
    }
    spec['clusterIP'] = ips[0] ?? '';
    spec['clusterIPs'] = ips;
    return [];
  }

  #one(
    family: Family,
    asked: string | undefined,
    used: ReadonlySet<string>,
    index: number,
    isNew: boolean,
  ): string | Cause {
    const range = this.#ranges.find((item) => item.family === family);
    const field = `spec.clusterIPs[${index}]`;
    if (range === undefined)
      return invalidValue(field, asked ?? '', `no range for ${family} is configured on this cluster`);
    if (asked === undefined) {
      return (
        this.#allocate(range, used) ?? {
          reason: 'InternalError',
          message: 'Internal error: the range of service addresses is full',
          field,
        }
      );
    }
    if (isIP(asked) === 0)
      return invalidValue(field, asked, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)');
    if (!isNew) return asked;
    const offset = ipToNumber(asked) - range.base;
    if (offset <= 0n || offset >= range.size)
      return invalidValue(field, asked, 'failed to allocate IP: the provided IP is not in the valid range');
    if (used.has(asked) && !this.firstIps().includes(asked)) {
      return invalidValue(field, asked, 'failed to allocate IP: provided IP is already allocated');
    }
    return asked;
  }

  #families(
    spec: JsonObject,
    asked: readonly string[],
    old: JsonObject | undefined,
  ): { list: Family[] } | { cause: Cause } {
    const primary = this.#ranges[0]?.family ?? 'IPv4';
    const given = asStrings(spec['ipFamilies']).filter(
      (family): family is Family => family === 'IPv4' || family === 'IPv6',
    );
    const fromIps = asked.filter((ip) => isIP(ip) !== 0).map((ip): Family => (isIP(ip) === 6 ? 'IPv6' : 'IPv4'));
    const selectorless = spec['clusterIP'] === 'None' && Object.keys(spec['selector'] ?? {}).length === 0;
    const implied =
      given.length > 1 || fromIps.length > 1
        ? 'RequireDualStack'
        : selectorless && old === undefined
          ? 'RequireDualStack'
          : 'SingleStack';
    const policy = asString(spec['ipFamilyPolicy']) || implied;
    spec['ipFamilyPolicy'] = policy;
    const list: Family[] = given.length > 0 ? [...given] : fromIps.length > 0 ? [...fromIps] : [primary];
    const other: Family = list[0] === 'IPv6' ? 'IPv4' : 'IPv6';
    const hasOther = this.#ranges.some((range) => range.family === other);
    if (policy === 'SingleStack') return { list: list.slice(0, 1) };
    if (policy === 'RequireDualStack' && !hasOther && asString(spec['ipFamilyPolicy']) !== '' && !selectorless) {
      return {
        cause: invalidValue('spec.ipFamilyPolicy', policy, 'this cluster is not configured for dual-stack services'),
      };
    }
    return { list: hasOther && list.length === 1 ? [...list, other] : list };
  }
}
