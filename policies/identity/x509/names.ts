import { isIP } from '../../kit/ip.ts';
import { err, ok, type Result } from '../../kit/result.ts';
import * as der from './der.ts';
import { oid } from './oids.ts';

/** What Weft puts into a distinguished name; the empty object is the empty name. */
export interface DistinguishedName {
  readonly commonName?: string;
  readonly organization?: string;
}

/** A name as another certificate encodes it: chaining compares the bytes (RFC 5280 section 7.1). */
export interface EncodedName {
  readonly der: Uint8Array;
}

export interface SubjectAltName {
  readonly type: 'uri' | 'dns' | 'ip' | 'email';
  readonly value: string;
}

const attribute = (type: string, value: string): der.DerNode =>
  der.set(der.sequence(der.objectIdentifier(type), der.text(der.tag.utf8String, value)));

export function encodeName(name: DistinguishedName): der.DerNode {
  const parts: der.DerNode[] = [];
  if (name.organization !== undefined) parts.push(attribute(oid.organization, name.organization));
  if (name.commonName !== undefined) parts.push(attribute(oid.commonName, name.commonName));
  return der.sequence(...parts);
}

/** Attributes other than CN and O are left out: they are for people, never for decisions. */
export function decodeName(node: der.DerNode | undefined): Result<DistinguishedName, string> {
  if (!der.isUniversal(node, der.tag.sequence)) return err('name is not a SEQUENCE');
  let commonName: string | undefined;
  let organization: string | undefined;
  for (const relative of der.children(node)) {
    for (const pair of der.children(relative)) {
      const [type, value] = der.children(pair);
      if (value === undefined) return err('name has an attribute without value');
      if (der.oidOf(type) === oid.commonName) commonName = der.contentText(value);
      if (der.oidOf(type) === oid.organization) organization = der.contentText(value);
    }
  }
  return ok({
    ...(commonName === undefined ? {} : { commonName }),
    ...(organization === undefined ? {} : { organization }),
  });
}

/** GeneralName tags, RFC 5280 section 4.2.1.6. */
const generalName = { email: 1, dns: 2, uri: 6, ip: 7 } as const;

const tagged = (node: der.DerNode, number: number): boolean => !node.constructed && der.isContext(node, number);

export function encodeSubjectAltNames(names: readonly SubjectAltName[]): der.DerNode {
  return der.sequence(
    ...names.map((name) =>
      der.context(
        generalName[name.type],
        name.type === 'ip' ? ipToBytes(name.value) : Buffer.from(name.value, 'ascii'),
      ),
    ),
  );
}

/**
 * Kinds that the mesh has no use for (directoryName, otherName, ...) are refused in a request, where none may hide beside
 * one that is checked, and skipped in certificates that others issued.
 */
export function decodeSubjectAltNames(
  node: der.DerNode,
  otherKinds: 'refuse' | 'skip',
): Result<readonly SubjectAltName[], string> {
  if (!der.isUniversal(node, der.tag.sequence)) return err('subject alternative names are not a SEQUENCE');
  const names: SubjectAltName[] = [];
  for (const entry of der.children(node)) {
    const bytes = der.content(entry);
    if (tagged(entry, generalName.ip)) {
      const ip = bytesToIp(bytes);
      if (ip === undefined) return err('subject alternative name has an IP address that is neither 4 nor 16 octets');
      names.push({ type: 'ip', value: ip });
      continue;
    }
    const type = (['uri', 'dns', 'email'] as const).find((kind) => tagged(entry, generalName[kind]));
    if (type === undefined) {
      if (otherKinds === 'skip') continue;
      return err('subject alternative name is none of URI, DNS, IP, email');
    }
    // IA5String; a control or non-ASCII octet is how names are made to look like others.
    if (bytes.length === 0 || bytes.some((byte) => byte < 0x21 || byte > 0x7e)) {
      return err(`subject alternative name of type ${type} is empty or has octets that are not visible ASCII`);
    }
    names.push({ type, value: Buffer.from(bytes).toString('ascii') });
  }
  return names.length === 0 && otherKinds === 'refuse' ? err('subject alternative names are empty') : ok(names);
}

function ipToBytes(ip: string): Uint8Array {
  const family = isIP(ip);
  if (family === 0) throw new RangeError(`"${ip}" is not an IP address`);
  if (family === 4) return Uint8Array.from(ip.split('.'), Number);
  // The URL parser gives the canonical form, an embedded IPv4 part as hex included.
  const canonical = new URL(`http://[${ip}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function bytesToIp(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
