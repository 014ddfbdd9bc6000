import { type Downstream, nobodysConnection } from '../../http/exchange.ts';
import { noHead } from '../../http/h2/request-head.ts';

/** What a record shows between two requests, so that it keeps none alive. */
export const noRequest: Downstream = {
  head: noHead(),
  endOfRequest: true,
  connection: nobodysConnection,
  receiver: undefined,
  idleTimeoutMs: 0,
  bytesReceived: 0,
  bytesSent: 0,
  consumed: () => undefined,
  interim: () => undefined,
  respond: () => undefined,
  write: () => true,
  trailers: () => undefined,
  reset: () => undefined,
};
