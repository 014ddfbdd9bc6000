import { createHash, type KeyObject } from 'node:crypto';

/** SHA-256 of the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), in hexadecimal: the same for every certificate of a key. */
export const keyDigestOf = (key: KeyObject): string =>
  createHash('sha256')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest('hex');
