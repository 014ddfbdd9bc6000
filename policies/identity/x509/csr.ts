import type { KeyObject } from 'node:crypto';
import { err, ok, type Result } from '../../kit/result.ts';
import type { SpiffeId } from '../spiffe-id.ts';
import * as der from './der.ts';
import {
  basicConstraints,
  decodeExtensions,
  decodeSubjectAltName,
  type Extension,
  encodeExtensions,
  subjectAltName,
} from './extensions.ts';
import { type DistinguishedName, decodeName, encodeName, type SubjectAltName } from './names.ts';
import { oid } from './oids.ts';
import { decodeP256Key, encodePublicKey, type Signer, signed, verifySignature } from './signature.ts';

/** A request with one P-256 key and a few names is about 300 bytes. */
export const CSR_BYTES_MAX = 4_096;

type CsrNames = { readonly spiffeId: SpiffeId } | { readonly sans: readonly SubjectAltName[] };

export interface CertificateRequest {
  readonly subject: DistinguishedName;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo, as it goes into the certificate. */
  readonly publicKeyDer: Uint8Array;
  readonly sans: readonly SubjectAltName[];
}

interface CsrKey {
  readonly publicKey: KeyObject;
  readonly sign: Signer;
}

/** PKCS#10 (RFC 2986), DER. The subject is empty: SPIFFE identities are in the URI SAN alone. */
export function buildCsr(request: CsrNames & CsrKey): Promise<Uint8Array> {
  const names: readonly SubjectAltName[] =
    'spiffeId' in request ? [{ type: 'uri', value: request.spiffeId }] : request.sans;
  return requestFor({}, [subjectAltName(names, true)], request);
}

/**
 * For a certificate of an authority, which needs a name (RFC 5280 section 4.1.2.6). The usages of its key are left to
 * whoever signs: some refuse a request that says the same in another way.
 */
export function buildAuthorityCsr(
  request: CsrKey & { readonly subject: DistinguishedName; readonly sans: readonly SubjectAltName[] },
): Promise<Uint8Array> {
  const { subject, sans } = request;
  return requestFor(subject, [basicConstraints(true, undefined), subjectAltName(sans, false)], request);
}

function requestFor(
  subject: DistinguishedName,
  extensions: readonly Extension[],
  { publicKey, sign }: CsrKey,
): Promise<Uint8Array> {
  const requested = der.sequence(der.objectIdentifier(oid.extensionRequest), der.set(encodeExtensions(extensions)));
  const info = der.sequence(
    der.smallInteger(0),
    encodeName(subject),
    encodePublicKey(publicKey),
    der.context(0, [requested]),
  );
  return signed(info, sign);
}

/** The signature is verified: whoever made the request holds the key. Extensions other than the names are ignored. */
export function parseCsr(bytes: Uint8Array): Result<CertificateRequest, string> {
  if (bytes.length > CSR_BYTES_MAX) return err(`certificate request is longer than ${CSR_BYTES_MAX} bytes`);
  const root = der.decode(bytes);
  if (!root.ok) return err(`certificate request: ${root.error}`);
  const [info, algorithm, signature, ...rest] = der.children(root.value);
  if (!der.isUniversal(root.value, der.tag.sequence) || !der.isUniversal(info, der.tag.sequence) || rest.length > 0) {
    return err('certificate request is malformed');
  }
  const [version, subjectNode, keyNode, attributes] = der.children(info);
  if (!der.isUniversal(version, der.tag.integer) || der.content(version)[0] !== 0) {
    return err('certificate request: version is not 1');
  }
  const subject = decodeName(subjectNode);
  if (!subject.ok) return err(`certificate request: subject: ${subject.error}`);
  if (keyNode === undefined) return err('certificate request: it has no public key');
  const publicKey = decodeP256Key(keyNode);
  if (!publicKey.ok) return err(`certificate request: ${publicKey.error}`);
  const verified = verifySignature(info, algorithm, signature, publicKey.value);
  if (!verified.ok) return err(`certificate request: ${verified.error}`);
  const sans = requestedNames(attributes);
  if (!sans.ok) return err(`certificate request: ${sans.error}`);
  return ok({
    subject: subject.value,
    publicKey: publicKey.value,
    publicKeyDer: der.encode(keyNode),
    sans: sans.value,
  });
}

function requestedNames(attributes: der.DerNode | undefined): Result<readonly SubjectAltName[], string> {
  if (attributes !== undefined && !der.isContext(attributes, 0)) return err('attributes are malformed');
  const requests = der
    .children(attributes)
    .map(der.children)
    .filter(([type]) => der.oidOf(type) === oid.extensionRequest);
  const [request] = requests;
  if (request === undefined) return ok([]);
  const values = der.children(request[1]);
  // Two lists of names would leave open which one was checked.
  if (requests.length > 1 || values.length !== 1) return err('more than one list of requested extensions');
  const extensions = decodeExtensions(values[0]);
  return extensions.ok ? decodeSubjectAltName(extensions.value, 'refuse') : extensions;
}
