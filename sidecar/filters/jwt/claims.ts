/** What a header says of a claim. */

const VALUE_CHARS_MAX = 8_192;

/** `realm.roles` leads into an object; undefined where the token does not say it. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  // A claim may have a dot in its own name, as those that are URLs do.
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const part of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

/**
 * As Envoy's claim_to_headers: texts and numbers as they are, lists and objects as base64url of their JSON. Undefined for
 * what no header can carry: a line break in a claim must not become a header of its own.
 */
export function claimText(value: unknown): string | undefined {
  const text = plainText(value);
  if (text === undefined || text.length > VALUE_CHARS_MAX) return undefined;
  // Field values are octets (RFC 9110 section 5.5); what is beyond ASCII goes as UTF-8.
  const octets = Buffer.from(text, 'utf8').toString('latin1');
  for (let i = 0; i < octets.length; i++) {
    const code = octets.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return undefined;
  }
  return octets;
}

function plainText(value: unknown): string | undefined {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
    case 'boolean':
      return String(value);
    case 'object':
      return value === null ? undefined : Buffer.from(JSON.stringify(value)).toString('base64url');
    default:
      return undefined;
  }
}
