/** A token whose signature, issuer, audience and times have been checked: what policies and logs may rely on. */
export interface VerifiedJwt {
  /** The payload as it was signed (RFC 7519 section 4). */
  readonly claims: Readonly<Record<string, unknown>>;
  readonly issuer: string;
  /** Empty where the token names none. */
  readonly subject: string;
  readonly audiences: readonly string[];
}
