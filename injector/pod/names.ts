/** Names of the injected parts; the architecture page fixes them. */

export const PROXY_CONTAINER = 'weft-proxy';
export const INIT_CONTAINER = 'weft-init';
export const PROXY_UID = 1337;

export const PORT = { outbound: 15001, inbound: 15006, health: 15020 } as const;

export const INJECT_KEY = 'weft.dev/inject';
export const REVISION_KEY = 'weft.dev/rev';
export const ANNOTATION_PREFIX = 'proxy.weft.dev/';
export const STATUS_ANNOTATION = 'proxy.weft.dev/status';
/** The environment variable of the sidecar with the probes it runs. */
export const PROBES_ENV = 'WEFT_PROBES';
export const PROBES_ANNOTATION = 'proxy.weft.dev/original-probes';

export const VOLUME = {
  trust: 'weft-trust',
  token: 'weft-token',
  state: 'weft-state',
  noToken: 'weft-no-token',
} as const;
export const TOKEN_AUDIENCE = 'weft.dev';
