import type { DialRequest, UpstreamTransport } from '../../net/connection.ts';
import type { CheckOutcome } from './host-health.ts';

/** How one endpoint is asked. One check at a time. */
export interface Prober {
  /** `done` is called once, perhaps before this returns, unless `cancel` comes before. */
  start(done: (outcome: CheckOutcome) => void): void;
  /** Gives up the check under way, with its connection. */
  cancel(): void;
  /** The connection that is kept is not to be used again: it has an old certificate, or nobody asks any more. */
  dropConnection(): void;
}

/** Opens a connection to the endpoint as its cluster says. */
export interface ProbeTarget {
  readonly request: DialRequest;
  dial(
    request: DialRequest,
    done: (result: { readonly transport: UpstreamTransport } | { readonly error: unknown }) => void,
  ): { cancel(): void };
  readonly reuse: boolean;
}

/** Of an answer that is read: more says nothing of an endpoint's health. */
export const ANSWER_BYTES_MAX = 65_536;
