import type { HeaderMutation, HeaderValue } from './route.ts';

/** Envoy's HealthCheck: endpoints are asked how they are, and those that fail take no traffic. */
export interface HealthCheck {
  readonly probe: HealthProbe;
  readonly timeoutMs: number;
  /** Between the end of a check and the next one, of an endpoint that is well. */
  readonly intervalMs: number;
  /** Checks of one cluster are spread by adding up to so much to the time before the first, and to each interval. */
  readonly initialJitterMs: number;
  readonly intervalJitterMs: number;
  readonly intervalJitterPercent: number;
  /** Failures in a row that make a healthy endpoint unhealthy; an answer that says no needs no second. */
  readonly unhealthyThreshold: number;
  /** Successes in a row that make an unhealthy endpoint healthy; the first check of all needs no second. */
  readonly healthyThreshold: number;
  /** 0: the endpoint's own. */
  readonly port: number;
  readonly reuseConnection: boolean;
  /** While nothing is sent to the cluster. */
  readonly noTrafficIntervalMs: number;
  readonly noTrafficHealthyIntervalMs: number;
  readonly unhealthyIntervalMs: number;
  /** While a change is near: after a failure of a healthy endpoint, after a success of an unhealthy one. */
  readonly unhealthyEdgeIntervalMs: number;
  readonly healthyEdgeIntervalMs: number;
  /** Before the first check has ended: no traffic; no traffic and not counted among the endpoints; traffic. */
  readonly initially: 'failed' | 'ignored' | 'healthy';
}

export type HealthProbe =
  | {
      readonly kind: 'http';
      readonly method: HealthCheckMethod;
      readonly path: string;
      /** Empty: the name of the cluster. */
      readonly host: string;
      readonly headers: Pick<HeaderMutation, 'set' | 'add' | 'remove'>;
      /** Of the endpoint without TLS between sidecars. */
      readonly http2: boolean;
      /** Statuses that are well; none: 200. */
      readonly expected: readonly StatusRange[];
      /** Statuses that count as a failure of the connection: only several in a row are one. */
      readonly retriable: readonly StatusRange[];
    }
  | {
      /** grpc.health.v1.Health/Check. */
      readonly kind: 'grpc';
      /** Empty: the server as a whole. */
      readonly service: string;
      /** Empty: the name of the cluster. */
      readonly authority: string;
      readonly metadata: readonly HeaderValue[];
    }
  | {
      readonly kind: 'tcp';
      /** Hexadecimal, lower case. */
      readonly send: string;
      /** Have to come in this order, with anything between them; none: a connection is enough. */
      readonly receive: readonly string[];
    };

export const healthCheckMethods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const;

export type HealthCheckMethod = (typeof healthCheckMethods)[number];

/** `end` is not included. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

export const isInRanges = (status: number, ranges: readonly StatusRange[]): boolean =>
  ranges.some(({ start, end }) => status >= start && status < end);
