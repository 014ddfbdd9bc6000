import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { Duration, DurationSchema } from '@bufbuild/protobuf/wkt';
import { isIP } from '../kit/ip.ts';
import { TIMER_MS_MAX } from '../kit/timer.ts';
import type { CidrRange, SocketAddress } from '../model/address.ts';
import type { At } from './decoding.ts';
import type {
  Address,
  AddressSchema,
  CidrRange as CidrRangeMessage,
  CidrRangeSchema,
} from './gen/envoy/config/core/v3/address_pb.ts';
import type { Metadata, MetadataSchema } from './gen/envoy/config/core/v3/base_pb.ts';

export const DURATION_MS_MAX: number = TIMER_MS_MAX;

export const encodeDuration = (ms: number): MessageInitShape<typeof DurationSchema> => {
  const seconds = Math.floor(ms / 1000);
  return { seconds: BigInt(seconds), nanos: Math.round((ms - seconds * 1000) * 1_000_000) };
};

/** What the Gateway API can write, four times 99,999 hours: for times that are told to others and never waited for. */
export const AGE_MS_MAX = 399_996 * 3_600_000;

/** Rounded up to whole milliseconds, so that a time never becomes "none". */
export function decodeDuration(
  duration: Duration | undefined,
  absentMs: number,
  at: At,
  msMax: number = DURATION_MS_MAX,
): number {
  if (duration === undefined) return absentMs;
  const ms = Math.ceil(Number(duration.seconds) * 1000 + duration.nanos / 1_000_000);
  if (ms < 0 || ms > msMax) return at.fail(`duration is not between 0 and ${msMax} ms`, absentMs);
  return ms;
}

/** RFC 5952; an IPv4-mapped address is its IPv4 address. Undefined: not an IP address. */
export function canonicalIp(text: string): string | undefined {
  const family = isIP(text);
  if (family === 4) return text;
  if (family === 0 || text.includes('%')) return undefined;
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped === null) return canonical;
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

/** `::` of Weft's takes both families, which Envoy has to be told. */
export const encodeSocketAddress = ({ ip, port }: SocketAddress): MessageInitShape<typeof AddressSchema> => ({
  address: {
    case: 'socketAddress',
    value: { address: ip, portSpecifier: { case: 'portValue', value: port }, ipv4Compat: ip === '::' },
  },
});

/** A host may be a name where names are resolved. */
export function decodeHostAddress(
  address: Address | undefined,
  at: At,
): { readonly host: string; readonly port: number } {
  if (address?.address.case !== 'socketAddress') return at.fail('socket_address is required', { host: '', port: 0 });
  const { value } = address.address;
  const here = at.field('socket_address');
  if (value.portSpecifier.case !== 'portValue') return here.fail('port_value is required', { host: '', port: 0 });
  const port = value.portSpecifier.value;
  if (port > 65_535) here.field('port_value').fail(`port ${port} is more than 65535`, undefined);
  if (value.address === '') here.field('address').fail('address is required', undefined);
  return { host: value.address, port };
}

export function decodeSocketAddress(address: Address | undefined, at: At): SocketAddress {
  const { host, port } = decodeHostAddress(address, at);
  const ip = canonicalIp(host);
  if (ip === undefined && host !== '') {
    at.field('socket_address').field('address').fail(`"${host}" is not an IP address`, undefined);
  }
  return { ip: ip ?? '', port };
}

export const encodeCidr = ({ ip, prefixBits }: CidrRange): MessageInitShape<typeof CidrRangeSchema> => ({
  addressPrefix: ip,
  prefixLen: prefixBits,
});

export function decodeCidr(range: CidrRangeMessage, at: At): CidrRange {
  const ip = canonicalIp(range.addressPrefix);
  if (ip === undefined) {
    return at.field('address_prefix').fail(`"${range.addressPrefix}" is not an IP address`, { ip: '', prefixBits: 0 });
  }
  const prefixBits = range.prefixLen ?? 0;
  const bitsMax = isIP(ip) === 4 ? 32 : 128;
  if (prefixBits > bitsMax) at.field('prefix_len').fail(`prefix of ${ip} is longer than ${bitsMax} bits`, undefined);
  return { ip, prefixBits };
}

/** Namespace of our own settings in `filter_metadata`, where Envoy passes over them. */
export const WEFT_METADATA = 'weft.dev';

/** Undefined when there is nothing to say. */
export const encodeMetadata = (
  entries: Readonly<Record<string, JsonObject>>,
): MessageInitShape<typeof MetadataSchema> | undefined => {
  const said = Object.entries(entries).filter(([, value]) => Object.keys(value).length > 0);
  return said.length === 0 ? undefined : { filterMetadata: Object.fromEntries(said) };
};

export const weftMetadata = (metadata: Metadata | undefined, at: At): StructReader =>
  new StructReader(
    metadata?.filterMetadata[WEFT_METADATA] ?? {},
    at.field('metadata').field('filter_metadata').key(WEFT_METADATA),
  );

/** Reads our own settings; keys that are not asked for are counted as unknown fields. */
export class StructReader {
  private readonly value: JsonObject;
  private readonly at: At;
  private readonly asked = new Set<string>();

  constructor(value: JsonObject, at: At) {
    this.value = value;
    this.at = at;
  }

  string(key: string): string {
    return this.read(key, '', (value) => (typeof value === 'string' ? value : undefined), 'a string');
  }

  boolean(key: string): boolean {
    return this.read(key, false, (value) => (typeof value === 'boolean' ? value : undefined), 'true or false');
  }

  number(key: string, min: number, max: number): number {
    const inRange = (value: unknown) => (typeof value === 'number' && value >= min && value <= max ? value : undefined);
    return this.read(key, min, inRange, `a number from ${min} to ${max}`);
  }

  choice<T extends string>(key: string, choices: readonly [T, ...T[]]): T {
    return this.read(key, choices[0], (value) => choices.find((choice) => choice === value), choices.join(' or '));
  }

  object(key: string): StructReader | undefined {
    this.asked.add(key);
    const value = this.value[key];
    if (value === undefined) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return this.at.field(key).fail('has to be an object', undefined);
    }
    return new StructReader(value, this.at.field(key));
  }

  strings(key: string): readonly string[] {
    return this.read(
      key,
      [],
      (value) =>
        Array.isArray(value) && value.every((one): one is string => typeof one === 'string') ? value : undefined,
      'a list of strings',
    );
  }

  place(key: string): At {
    return this.at.field(key);
  }

  end(): void {
    for (const key of Object.keys(this.value)) {
      if (!this.asked.has(key)) this.at.field(key).skip('setting');
    }
  }

  private read<T>(key: string, absent: T, parse: (value: unknown) => T | undefined, what: string): T {
    this.asked.add(key);
    if (this.value[key] === undefined) return absent;
    return parse(this.value[key]) ?? this.at.field(key).fail(`has to be ${what}`, absent);
  }
}

const URI_TEXT = /^[\x21-\x22\x24-\x7e]*$/;

/** A part of a URI that is written into a request line or a Location as it is: without blanks, line ends and fragment. */
export function decodeUriText(text: string, at: At): string {
  return URI_TEXT.test(text) ? text : at.fail('has a character that may not be in a URI (RFC 3986 section 2)', text);
}
