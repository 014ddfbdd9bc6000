/** What an HTTP connection manager adds to messages, takes from them, and believes of them. */
export interface HttpEdge {
  /** Clients are outside: who they say they are is not believed, and their address is appended to X-Forwarded-For. */
  readonly useRemoteAddress: boolean;
  readonly appendForwardedFor: boolean;
  readonly requestId: {
    readonly generate: boolean;
    /** The id that a client from outside brings is kept. */
    readonly preserveExternal: boolean;
    readonly inResponse: boolean;
  };
  /** `name` is empty for `passthrough`. */
  readonly serverHeader: { readonly mode: 'passthrough' | 'overwrite' | 'append-if-absent'; readonly name: string };
  /** Appended to Via in both directions; empty: nothing. */
  readonly via: string;
  /** X-Forwarded-Client-Cert, as Envoy's forward_client_cert_details. */
  readonly clientCert: {
    readonly mode: 'sanitize' | 'forward-only' | 'append-forward' | 'sanitize-set' | 'always-forward-only';
    readonly dns: boolean;
    readonly uri: boolean;
  };
  readonly hostPort: 'keep' | 'strip-matching' | 'strip-any';
  /** Field names with an underscore. */
  readonly underscores: 'allow' | 'reject' | 'drop';
  /** Protocols of Upgrade, lower case, and `connect`; others are answered with 403. Undefined: any. */
  readonly upgrades: readonly string[] | undefined;
  /** `//` in a path is `/`. */
  readonly mergeSlashes: boolean;
  /** `%2F` and `%5C` in a path: left, answered with 400, or taken for slashes, after a redirect or at once. */
  readonly escapedSlashes: 'keep' | 'reject' | 'redirect' | 'forward';
}

/** Between sidecars and applications: messages stay as they are, and the peer's identity is told. */
export const meshEdge: HttpEdge = {
  useRemoteAddress: false,
  appendForwardedFor: true,
  requestId: { generate: true, preserveExternal: true, inResponse: false },
  serverHeader: { mode: 'passthrough', name: '' },
  via: '',
  clientCert: { mode: 'sanitize-set', dns: false, uri: true },
  hostPort: 'keep',
  underscores: 'allow',
  upgrades: undefined,
  mergeSlashes: false,
  escapedSlashes: 'keep',
};
