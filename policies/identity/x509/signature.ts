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

/** AlgorithmIdentifier of a P-256 key: id-ecPublicKey with the named curve secp256r1 (RFC 5480 section 2.1.1). */
const p256Algorithm = Buffer.from('301306072a8648ce3d020106082a8648ce3d030107', 'hex');
/** Uncompressed: 0x04, x, y (RFC 5480 section 2.2). */
const P256_POINT_BYTES = 65;

const keyKinds: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.1': 'RSA',
  '1.2.840.113549.1.1.10': 'RSA-PSS',
  '1.2.840.10040.4.1': 'DSA',
  '1.3.101.112': 'Ed25519',
  '1.3.101.113': 'Ed448',
  '1.3.132.0.34': 'ECDSA P-384',
  '1.3.132.0.35': 'ECDSA P-521',
  '1.3.132.0.10': 'ECDSA secp256k1',
};

export const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1';

/** RFC 5758 section 3.2: no parameters. */
export const algorithmIdentifier = (): der.DerNode => der.sequence(der.objectIdentifier(oid.ecdsaWithSha256));

const algorithmDer = der.encode(algorithmIdentifier());

export async function signed(toBeSigned: der.DerNode, signer: Signer): Promise<Uint8Array> {
  const bytes = der.encode(toBeSigned);
  const signature = await signer(bytes);
  return der.encode(der.sequence(der.raw(bytes), algorithmIdentifier(), der.bitString(signature)));
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

/** The key of a request: P-256 with an uncompressed point, or the name of what it is instead. */
export function decodeP256Key(node: der.DerNode | undefined): Result<KeyObject, string> {
  const [algorithm, bits] = der.children(node);
  if (algorithm === undefined) return err('public key is not a SEQUENCE');
  if (Buffer.compare(der.encode(algorithm), p256Algorithm) !== 0) {
    const [kind = '', curve = ''] = der.children(algorithm).map(der.oidOf);
    const name = keyKinds[curve] ?? keyKinds[kind] ?? `of algorithm ${kind || '(none)'} ${curve}`.trimEnd();
    return err(`public key is ${name}, and only ECDSA P-256 is signed`);
  }
  const point = der.bitsOf(bits);
  if (point?.length !== P256_POINT_BYTES || point[0] !== 4)
    return err('public key is ECDSA P-256 but not an uncompressed point of 65 octets');
  return decodePublicKey(node);
}

/** Checks ECDSA with SHA-256, and nothing else; `publicKey` is one that `decodeP256Key` has let through. */
export function verifySignature(
  toBeSigned: der.DerNode,
  algorithm: der.DerNode | undefined,
  signature: der.DerNode | undefined,
  publicKey: KeyObject,
): Result<true, string> {
  const name = der.oidOf(der.children(algorithm)[0]);
  if (algorithm === undefined || Buffer.compare(der.encode(algorithm), algorithmDer) !== 0) {
    return err(`signature algorithm ${name || '(none)'} is not ECDSA with SHA-256 as RFC 5758 writes it`);
  }
  const bits = der.bitsOf(signature);
  if (bits === undefined) return err('signature is not a BIT STRING of whole octets');
  return verify('sha256', der.encode(toBeSigned), publicKey, bits) ? ok(true) : err('signature does not verify');
}
