/** Tokens of end users (RFC 7519), as Envoy's jwt_authn filter checks them: bad ones are refused, missing ones may pass. */
export interface JwtAuthentication {
  /** Of which each is for one issuer. */
  readonly providers: readonly JwtProvider[];
  /** A request without a token passes. */
  readonly allowsMissing: boolean;
}

export interface JwtProvider {
  readonly name: string;
  readonly issuer: string;
  /** Of which a token has to name one; empty: any will do. */
  readonly audiences: readonly string[];
  /** A JSON Web Key Set (RFC 7517); without usable keys every token of the issuer is refused. */
  readonly keys: string;
  readonly locations: readonly JwtLocation[];
  /** The token stays on the request. */
  readonly forward: boolean;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: string }[];
  /** In whole seconds on the wire. */
  readonly clockSkewMs: number;
}

export type JwtLocation =
  /** `prefix` may be empty. */
  | { readonly kind: 'header'; readonly name: string; readonly prefix: string }
  | { readonly kind: 'query'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };

/** Where on an Envoy the payload of a token is found, in `filter_metadata`: rules on claims name both. */
export const JWT_FILTER = 'envoy.filters.http.jwt_authn';
export const JWT_PAYLOAD = 'jwt';
