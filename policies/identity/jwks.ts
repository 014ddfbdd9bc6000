/** JSON Web Key Sets (RFC 7517), as far as they verify tokens. */

const KEYS_MAX = 64;

/** Of a public key these members alone (RFC 7518 section 6): a set that says too much must not spread what is secret. */
const publicMembers: ReadonlySet<string> = new Set(['kty', 'kid', 'use', 'key_ops', 'alg', 'crv', 'x', 'y', 'n', 'e']);

/** The public keys of a set; undefined where it is none. Secrets shared with the issuer are left out. */
export function publicKeysOf(text: string): Record<string, unknown>[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  const list = typeof parsed === 'object' && parsed !== null && 'keys' in parsed ? parsed.keys : undefined;
  if (!Array.isArray(list)) return undefined;
  return list.slice(0, KEYS_MAX).flatMap((key: unknown) => {
    if (typeof key !== 'object' || key === null || !('kty' in key)) return [];
    if (typeof key.kty !== 'string' || key.kty === 'oct') return [];
    return [Object.fromEntries(Object.entries(key).filter(([name]) => publicMembers.has(name)))];
  });
}
