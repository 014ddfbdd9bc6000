import { err, ok, type Result } from '../../kit/result.ts';
import * as der from './der.ts';
import { decodeSubjectAltNames, encodeSubjectAltNames, type SubjectAltName } from './names.ts';
import { oid } from './oids.ts';

/** Extension ::= SEQUENCE { extnID, critical DEFAULT FALSE, extnValue } (RFC 5280 section 4.1). */
export interface Extension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: der.DerNode;
}

/** In the order of their bits, RFC 5280 section 4.2.1.3. */
const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
] as const;
export type KeyUsage = (typeof keyUsages)[number];

const extKeyUsageOids = { serverAuth: oid.serverAuth, clientAuth: oid.clientAuth } as const;
export type ExtKeyUsage = keyof typeof extKeyUsageOids;

export const encodeExtension = ({ id, critical, value }: Extension): der.DerNode =>
  der.sequence(
    der.objectIdentifier(id),
    // A value equal to its default is left out (X.690 section 11.5).
    ...(critical ? [der.boolean(true)] : []),
    der.octetString(der.encode(value)),
  );

export const encodeExtensions = (extensions: readonly Extension[]): der.DerNode =>
  der.sequence(...extensions.map(encodeExtension));

export function decodeExtensions(node: der.DerNode | undefined): Result<ReadonlyMap<string, Extension>, string> {
  const extensions = new Map<string, Extension>();
  for (const entry of der.children(node)) {
    const [idNode, ...rest] = der.children(entry);
    const id = der.oidOf(idNode);
    if (id === '') return err('extension without an identifier');
    // RFC 5280 section 4.2: at most one instance of each.
    if (extensions.has(id)) return err(`extension ${id} occurs twice`);
    const flag = rest.length === 2 ? rest[0] : undefined;
    const octets = rest.at(-1);
    if (rest.length > 2 || !der.isUniversal(octets, der.tag.octetString)) return err(`extension ${id} is malformed`);
    if (flag !== undefined && !der.isUniversal(flag, der.tag.boolean)) return err(`extension ${id} is malformed`);
    const value = der.decode(der.content(octets));
    if (!value.ok) return err(`extension ${id}: ${value.error}`);
    extensions.set(id, { id, critical: flag !== undefined && der.content(flag)[0] !== 0, value: value.value });
  }
  return ok(extensions);
}

/** RFC 5280 section 4.2.1.6: critical where the subject is empty. */
export const subjectAltName = (names: readonly SubjectAltName[], subjectIsEmpty: boolean): Extension => ({
  id: oid.subjectAltName,
  critical: subjectIsEmpty,
  value: encodeSubjectAltNames(names),
});

export function decodeSubjectAltName(
  extensions: ReadonlyMap<string, Extension>,
  otherKinds: 'refuse' | 'skip',
): Result<readonly SubjectAltName[], string> {
  const found = extensions.get(oid.subjectAltName);
  return found === undefined ? ok([]) : decodeSubjectAltNames(found.value, otherKinds);
}

/** RFC 5280 section 4.2.1.9: critical in a CA certificate. */
export const basicConstraints = (isCa: boolean, pathLength: number | undefined): Extension => ({
  id: oid.basicConstraints,
  critical: true,
  value: der.sequence(
    ...(isCa ? [der.boolean(true)] : []),
    ...(isCa && pathLength !== undefined ? [der.smallInteger(pathLength)] : []),
  ),
});

export function decodeBasicConstraints(extensions: ReadonlyMap<string, Extension>): {
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
} {
  const [flag, length] = der.children(extensions.get(oid.basicConstraints)?.value);
  const isCa = der.isUniversal(flag, der.tag.boolean) && der.content(flag)[0] === 0xff;
  const octets = isCa && der.isUniversal(length, der.tag.integer) ? der.content(length) : undefined;
  return { isCa, pathLength: octets?.reduce((sum, octet) => sum * 256 + octet, 0) };
}

/** RFC 5280 section 4.2.1.3: critical; trailing zero bits are not encoded (X.690 section 11.2.2). */
export function keyUsage(usages: readonly KeyUsage[]): Extension {
  const bits = usages.map((usage) => keyUsages.indexOf(usage));
  const octet = bits.reduce((sum, bit) => sum | (0x80 >> bit), 0);
  const unused = bits.length === 0 ? 0 : 7 - Math.max(...bits);
  const octets = bits.length === 0 ? new Uint8Array(0) : Uint8Array.of(octet);
  return { id: oid.keyUsage, critical: true, value: der.bitString(octets, unused) };
}

export function decodeKeyUsage(extensions: ReadonlyMap<string, Extension>): readonly KeyUsage[] {
  const value = extensions.get(oid.keyUsage)?.value;
  if (!der.isUniversal(value, der.tag.bitString)) return [];
  const octet = der.content(value)[1] ?? 0;
  return keyUsages.filter((_, bit) => (octet & (0x80 >> bit)) !== 0);
}

export const extKeyUsage = (usages: readonly ExtKeyUsage[]): Extension => ({
  id: oid.extKeyUsage,
  critical: false,
  value: der.sequence(...usages.map((usage) => der.objectIdentifier(extKeyUsageOids[usage]))),
});

/** Purposes other than those of TLS are left out. */
export function decodeExtKeyUsage(extensions: ReadonlyMap<string, Extension>): readonly ExtKeyUsage[] {
  const found = der.children(extensions.get(oid.extKeyUsage)?.value).map(der.oidOf);
  return (['serverAuth', 'clientAuth'] as const).filter((usage) => found.includes(extKeyUsageOids[usage]));
}

export const subjectKeyId = (id: Uint8Array): Extension => ({
  id: oid.subjectKeyId,
  critical: false,
  value: der.octetString(id),
});

export const authorityKeyId = (id: Uint8Array): Extension => ({
  id: oid.authorityKeyId,
  critical: false,
  value: der.sequence(der.context(0, id)),
});

export function decodeKeyIds(extensions: ReadonlyMap<string, Extension>): {
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
} {
  const own = extensions.get(oid.subjectKeyId)?.value;
  const issuer = der.children(extensions.get(oid.authorityKeyId)?.value).find((node) => der.isContext(node, 0));
  return {
    subjectKeyId: der.isUniversal(own, der.tag.octetString) ? der.content(own) : undefined,
    authorityKeyId: issuer === undefined ? undefined : der.content(issuer),
  };
}
