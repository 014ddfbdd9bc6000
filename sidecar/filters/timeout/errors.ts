import type { ProxyError } from '../../http/errors.ts';

/** One object for each kind: a timeout says nothing that would differ between requests. */
export const requestTimedOut: ProxyError = {
  source: 'upstream',
  flag: 'UT',
  status: 504,
  retry: 'no',
  detail: 'upstream request timeout',
};

/** The time that the client gave in `grpc-timeout`. */
export const deadlineExceeded: ProxyError = {
  source: 'upstream',
  flag: 'UT',
  status: 504,
  retry: 'no',
  detail: 'the deadline that the client set (grpc-timeout) has passed',
};

/** The time that a caller further up allowed (weft-deadline). */
export const callerTimedOut: ProxyError = {
  source: 'upstream',
  flag: 'UT',
  status: 504,
  retry: 'no',
  detail: 'upstream request timeout: the time that the caller allowed has passed',
};

export const attemptTimedOut: ProxyError = {
  source: 'upstream',
  flag: 'UT',
  status: 504,
  retry: 'idempotent',
  detail: 'upstream request timeout of one attempt',
};

/** max_stream_duration of a listener; by whom the time was taken is told as by Envoy. */
export const durationReached = (requestEnded: boolean): ProxyError => ({
  source: 'downstream',
  flag: 'DT',
  status: requestEnded ? 504 : 408,
  retry: 'no',
  detail: 'downstream duration timeout',
});

/** max_stream_duration of a cluster. */
export const attemptDurationReached = (requestEnded: boolean): ProxyError => ({
  source: 'upstream',
  flag: 'UMSDR',
  status: requestEnded ? 504 : 408,
  retry: 'idempotent',
  detail: 'upstream max stream duration reached',
});

/** The client's fault while its request is incomplete (408), else the upstream's. */
export const requestIdle: ProxyError = {
  source: 'downstream',
  flag: 'SI',
  status: 408,
  retry: 'no',
  detail: 'request body stalled for longer than the idle timeout',
};

export const streamIdle: ProxyError = {
  source: 'upstream',
  flag: 'SI',
  status: 504,
  retry: 'no',
  detail: 'nothing was sent for longer than the idle timeout',
};
