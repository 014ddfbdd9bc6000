/** Requests of a session go to one endpoint, which the client carries with it (Envoy's stateful_session). */
export type SessionPersistence =
  | {
      readonly kind: 'cookie';
      readonly name: string;
      /** Empty: the cookie has none, and is for all paths. */
      readonly path: string;
      /** Whole seconds. 0: the cookie ends with the browser. */
      readonly ttlMs: number;
      /** 0: none. After it the endpoint is chosen anew, whatever the client keeps. */
      readonly timeoutMs: number;
      /** No other endpoint will do: 503 where it cannot be used. */
      readonly strict: boolean;
    }
  | {
      readonly kind: 'header';
      readonly name: string;
      readonly timeoutMs: number;
      readonly strict: boolean;
    };
