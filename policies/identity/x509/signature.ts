import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { err, ok, type Result } from '../../kit/result.ts';
import * as der from './der.ts';
import { oid } from './oids.ts';

/**
 * ECDSA P-256 with SHA-256 over `toBeSigned`; the result is DER of ECDSA-Sig-Value (RFC 3279 section 2.2.3).
 * May be asynchronous, since the key may be in an HSM.
 */
export type Signer = (toBeSigned: Uint8Array) => Uint8Array | Promise<Uint8Array>;

/** Signs with a key of this process. */
export function keySigner(privateKey: KeyObject): Signer {
  if (!isP256(privateKey)) throw new RangeError('key is not ECDSA P-256');
  return (toBeSigned) => new Uint8Array(sign('sha256', toBeSigned, privateKey));
}

export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';

/** RFC 5758 section 3.2: no parameters. */
export const algorithmIdentifier = (): der.DerNode => der.sequence(der.objectIdentifier(oid.ecdsaWithSha256));

export async function signed(toBeSigned: der.DerNode, signer: Signer): Promise<Uint8Array> {
  const signature = await signer(der.encode(toBeSigned));
  return der.encode(der.sequence(toBeSigned, algorithmIdentifier(), der.bitString(signature)));
}

export const encodePublicKey = (key: KeyObject): der.DerNode => {
  const spki = der.decode(key.export({ format: 'der', type: 'spki' }));
  if (!spki.ok) throw new Error(`public key does not encode: ${spki.error}`);
  return spki.value;
};

export function decodePublicKey(node: der.DerNode | undefined): Result<KeyObject, string> {
  if (!der.isUniversal(node, der.tag.sequence)) return err('public key is not a SEQUENCE');
  try {
    return ok(createPublicKey({ key: Buffer.from(der.encode(node)), format: 'der', type: 'spki' }));
  } catch {
    return err('public key is of an unknown kind or malformed');
  }
}

/** Checks ECDSA P-256 with SHA-256, and nothing else. */
export function verifySignature(
  toBeSigned: der.DerNode,
  algorithm: der.DerNode | undefined,
  signature: der.DerNode | undefined,
  publicKey: KeyObject,
): Result<true, string> {
  const name = der.oidOf(der.children(algorithm)[0]);
  if (algorithm === undefined || Buffer.compare(der.encode(algorithm), der.encode(algorithmIdentifier())) !== 0) {
    return err(`signature algorithm ${name || '(none)'} is not ECDSA with SHA-256 as RFC 5758 writes it`);
  }
  if (!isP256(publicKey)) return err('public key is not ECDSA P-256');
  const bits = der.bitsOf(signature);
  if (bits === undefined) return err('signature is not a BIT STRING of whole octets');
  return verify('sha256', der.encode(toBeSigned), publicKey, bits) ? ok(true) : err('signature does not verify');
}
