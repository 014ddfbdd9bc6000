import type { Fraction } from './fraction.ts';
import type { HeaderMatch } from './match.ts';

/** One output of lines; every logger writes each exchange that its filter lets pass. */
export interface AccessLog {
  readonly kind: 'stdout' | 'stderr' | 'file';
  /** Empty for stdout and stderr. */
  readonly path: string;
  /** Undefined: Envoy's default text. */
  readonly format: LogFormat | undefined;
  /** Undefined: everything. */
  readonly filter: AccessLogFilter | undefined;
}

/** Strings hold Envoy's command operators, as `parseLogFormat` takes them. */
export type LogFormat =
  | { readonly kind: 'text'; readonly text: string; readonly omitEmptyValues: boolean }
  | { readonly kind: 'json'; readonly value: LogObject; readonly omitEmptyValues: boolean };

export type LogValue = string | number | boolean | null | readonly LogValue[] | LogObject;
export interface LogObject {
  readonly [key: string]: LogValue;
}

export type AccessLogFilter =
  | {
      readonly kind: 'status' | 'duration';
      readonly op: 'eq' | 'ge' | 'le';
      /** A status, or milliseconds. */
      readonly value: number;
    }
  /** Any of these response flags; empty: any flag at all. */
  | { readonly kind: 'flags'; readonly flags: readonly string[] }
  | { readonly kind: 'header'; readonly match: HeaderMatch }
  /** Health checks never reach the log of a proxy that answers none itself. */
  | { readonly kind: 'not-health-check' }
  /** A request that is no call of gRPC has the code that a client of it would take its status for. */
  | { readonly kind: 'grpc-status'; readonly codes: readonly number[]; readonly exclude: boolean }
  /** `independent`: by dice; else by the request's id, so that all proxies that it passes choose alike. */
  | { readonly kind: 'share'; readonly fraction: Fraction; readonly independent: boolean }
  /** Lines at the end of requests, and of opaque connections: Weft writes no others. */
  | { readonly kind: 'log-type'; readonly http: boolean; readonly tcp: boolean }
  | { readonly kind: 'and' | 'or'; readonly filters: readonly AccessLogFilter[] };

export const stdoutLog: AccessLog = { kind: 'stdout', path: '', format: undefined, filter: undefined };
