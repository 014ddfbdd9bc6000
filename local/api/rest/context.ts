import type { Admission } from '../admission/webhooks.ts';
import type { Authorizer } from '../auth/rbac.ts';
import type { TokenIssuer } from '../auth/tokens.ts';
import { systemUser, type User } from '../auth/user.ts';
import type { Registry } from '../kinds/registry.ts';
import type { ServiceIps } from '../kinds/service-ips.ts';
import type { LogsBackend } from '../logs.ts';
import type { Counters } from '../metrics.ts';
import type { Store } from '../store/store.ts';

/** What handlers share: one per server. */
export interface ApiContext {
  readonly store: Store;
  readonly registry: Registry;
  readonly authorizer: Authorizer;
  readonly tokens: TokenIssuer;
  readonly admission: Admission;
  readonly serviceIps: ServiceIps;
  readonly logs: LogsBackend;
  readonly counters: Counters;
  readonly limits: ApiLimits;
  readonly now: () => number;
}

export interface ApiLimits {
  readonly bodyBytesMax: number;
  readonly watchesMax: number;
  readonly watchBufferBytesMax: number;
  readonly listItemsMax: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly tcpKeepAliveMs: number;
  readonly tcpUserTimeoutMs: number;
  /** Requests that are being handed on to pods and Services. */
  readonly proxiesMax: number;
  readonly proxyConnectMsMax: number;
  readonly proxyIdleMsMax: number;
}

export const defaultLimits: ApiLimits = {
  bodyBytesMax: 3 * 1024 * 1024,
  watchesMax: 2000,
  watchBufferBytesMax: 32 * 1024 * 1024,
  listItemsMax: 50_000,
  headerTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  tcpKeepAliveMs: 10_000,
  tcpUserTimeoutMs: 30_000,
  proxiesMax: 200,
  proxyConnectMsMax: 5_000,
  proxyIdleMsMax: 60_000,
};

/** One request as the layers below HTTP see it. */
export interface Call {
  readonly user: User;
  readonly dryRun: boolean;
  readonly fieldManager: string;
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  readonly force: boolean;
  /** Sent as `Warning: 299` headers. */
  readonly warnings: string[];
}

export const systemCall = (): Call => ({
  user: systemUser,
  dryRun: false,
  fieldManager: 'weft-apiserver',
  fieldValidation: 'Ignore',
  force: false,
  warnings: [],
});
