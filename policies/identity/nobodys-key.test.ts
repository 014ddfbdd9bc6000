import assert from 'node:assert/strict';
import { createHash, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { nobodysKeys } from './nobodys-key.ts';

/** Parameters of P-256 (FIPS 186-4, D.1.2.3). */
const p = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const b = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;

const isSquare = (value: bigint): boolean => {
  let result = 1n;
  let base = ((value % p) + p) % p;
  for (let exponent = (p - 1n) / 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % p;
    base = (base * base) % p;
  }
  return result === 1n;
};

test('the key that nobody has was not chosen, but came out of a hash', () => {
  let x = 0n;
  for (let n = 0; ; n++) {
    x = BigInt(`0x${createHash('sha256').update(`weft: nobody has this key ${n}`).digest('hex')}`);
    if (x < p && isSquare(x ** 3n - 3n * x + b)) break;
  }
  const [key] = (JSON.parse(nobodysKeys) as { keys: { readonly kty: string; readonly x: string }[] }).keys;
  assert.ok(key !== undefined);
  assert.equal(key.x, Buffer.from(x.toString(16).padStart(64, '0'), 'hex').toString('base64url'));
  // It is a point, and can be read as a key.
  assert.equal(createPublicKey({ key: { ...key }, format: 'jwk' }).asymmetricKeyType, 'ec');
});
