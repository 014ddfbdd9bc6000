/** A token whose signature, issuer, audience and times have been checked: what policies and logs may rely on. */
export interface VerifiedJwt {
  /** The payload as it was signed (RFC 7519 section 4). */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly issuer: string;
  /** Empty where the token names none. */
  readonly subject: string;
  readonly audiences: readonly string[];
}

/** What a real Envoy calls the place of the payload, in `filter_metadata`: rules on claims name both. */
export const JWT_METADATA = { filter: 'envoy.filters.http.jwt_authn', key: 'jwt' } as const;
