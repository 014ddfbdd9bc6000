/** Why a token may have been refused, read from its own unverified claims: for the error text, never for a decision. */

interface Claims {
  readonly aud?: unknown;
  readonly exp?: unknown;
  readonly nbf?: unknown;
}

function claimsOf(token: string): Claims | undefined {
  const [, payload, , extra] = token.split('.');
  if (payload === undefined || extra !== undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return typeof parsed === 'object' && parsed !== null ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** Expiry by the token's own word, milliseconds since the epoch. */
export function claimedExpiryMs(token: string): number | undefined {
  const exp = claimsOf(token)?.exp;
  return typeof exp === 'number' ? exp * 1_000 : undefined;
}

export function describeRefusedToken(token: string, audience: string, nowUnixMs: number): string | undefined {
  const claims = claimsOf(token);
  if (claims === undefined) return 'it is not a JSON Web Token';
  const audiences = (Array.isArray(claims.aud) ? claims.aud : [claims.aud]).filter((one) => typeof one === 'string');
  if (!audiences.includes(audience)) {
    return `its audience is ${audiences.length === 0 ? 'not given' : audiences.join(', ')}, not ${audience}`;
  }
  if (typeof claims.exp === 'number' && claims.exp * 1_000 <= nowUnixMs) {
    return `it expired at ${new Date(claims.exp * 1_000).toISOString()}`;
  }
  if (typeof claims.nbf === 'number' && claims.nbf * 1_000 > nowUnixMs) {
    return `it is not valid before ${new Date(claims.nbf * 1_000).toISOString()}`;
  }
  return undefined;
}
