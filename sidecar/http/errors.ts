/** Envoy's response flags, so that operators need not learn new ones. */
export type ResponseFlag =
  | 'UF' // upstream connection failure
  | 'UO' // upstream overflow: a limit of the cluster or its breaker
  | 'UH' // no healthy upstream
  | 'UC' // upstream connection termination
  | 'UR' // upstream reset the stream
  | 'UT' // upstream request timeout
  | 'UMSDR' // an attempt took longer than the cluster allows
  | 'UPE' // upstream protocol error
  | 'NR' // no route
  | 'NC' // no cluster, or configuration not known in time
  | 'URX' // retries exhausted
  | 'DC' // downstream connection termination
  | 'DPE' // downstream protocol error
  | 'DT' // stream or connection lived too long
  | 'SI' // stream idle timeout
  | 'UAEX' // denied by external or own authorization
  | 'RL' // rate limited
  | 'FI' // aborted by an injected fault
  | 'DI' // delayed by an injected fault
  | 'OM' // shed by the overload guard
  | 'DR'; // draining

/**
 * Why an exchange ended otherwise than by a response of the upstream.
 * `retry`: `no`; `yes`: nothing reached the application; `reusedOnly`: safe if the connection had been used before
 * and nothing of the response came (RFC 9112 section 9.3.1); `idempotent`: only methods that allow it.
 */
export interface ProxyError {
  readonly source: 'downstream' | 'upstream' | 'internal';
  readonly flag: ResponseFlag;
  /** Status for the client if no response has begun. */
  readonly status: number;
  readonly retry: 'no' | 'yes' | 'reusedOnly' | 'idempotent';
  /** One line for log and decision record: what is wrong, where. */
  readonly detail: string;
}

/** What is wrong with a message, by which rule. */
interface Malformed {
  /** `RFC 9112 section 5.2`. */
  readonly section: string;
  readonly detail: string;
}

export const malformedRequest = ({ section, detail }: Malformed, status: number): ProxyError => ({
  source: 'downstream',
  flag: 'DPE',
  status,
  retry: 'no',
  detail: `malformed request: ${detail} (${section})`,
});

/** The request may have been carried out, so that only an idempotent one may be tried again. */
export const malformedResponse = ({ section, detail }: Malformed): ProxyError => ({
  source: 'upstream',
  flag: 'UPE',
  status: 502,
  retry: 'idempotent',
  detail: `malformed response: ${detail} (${section})`,
});

export const CLIENT_GONE: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the client closed the connection before the exchange was complete',
};
