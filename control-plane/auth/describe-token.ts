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

/** Who sends a token writes its claims: of what is told back or logged there is no more than this. */
const SHOWN_CHARS_MAX = 256;
/** ECMA-262 section 21.4.1.1: there are no dates beyond. */
const UNIX_MS_MAX = 8.64e15;

const shown = (text: string): string => (text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text);

const time = (unixMs: number): string =>
  Math.abs(unixMs) <= UNIX_MS_MAX ? new Date(unixMs).toISOString() : 'a time that is none';

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
    return `its audience is ${audiences.length === 0 ? 'not given' : shown(audiences.join(', '))}, not ${audience}`;
  }
  if (typeof claims.exp === 'number' && claims.exp * 1_000 <= nowUnixMs) {
    return `it expired at ${time(claims.exp * 1_000)}`;
  }
  if (typeof claims.nbf === 'number' && claims.nbf * 1_000 > nowUnixMs) {
    return `it is not valid before ${time(claims.nbf * 1_000)}`;
  }
  return undefined;
}
