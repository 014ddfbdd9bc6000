import { createHash } from 'node:crypto';

/** A port, so that xds knows no files. Reading and writing may fail; serving goes on without. */
export interface SnapshotStore {
  load(): Uint8Array | undefined;
  save(bytes: Uint8Array): void;
}

const MAGIC = Buffer.from('weft-snapshot-1\n');
const DIGEST_BYTES = 32;

const digest = (owner: string, body: Uint8Array): Buffer =>
  createHash('sha256').update(`${owner}\n`).update(body).digest();

/** Puts in front of a snapshot what tells later that it is whole, and whose it is. */
export function sealSnapshot(owner: string, body: Uint8Array): Uint8Array {
  return Buffer.concat([MAGIC, digest(owner, body), body]);
}

/** The body; undefined when a byte of it is not what was sealed, or the snapshot is another proxy's. */
export function openSnapshot(owner: string, sealed: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  const bodyAt = MAGIC.length + DIGEST_BYTES;
  if (bytes.length < bodyAt || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const body = bytes.subarray(bodyAt);
  return digest(owner, body).equals(bytes.subarray(MAGIC.length, bodyAt)) ? body : undefined;
}
