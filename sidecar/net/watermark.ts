import { type Duplex, getDefaultHighWaterMark } from 'node:stream';

/** What a socket of the runtime lets wait before it asks for a pause. */
const USUAL_BYTES = getDefaultHighWaterMark(false);

/** Option of a new socket: what may wait in it is bounded by less than usual; more is never allowed. */
export const waitingAtMost = (bytes: number | undefined): { readonly highWaterMark?: number } =>
  bytes === undefined || bytes >= USUAL_BYTES ? {} : { highWaterMark: bytes };

/** For a server, whose sockets are all alike. */
export const usualOr = (bytes: number | undefined): number => Math.min(bytes ?? USUAL_BYTES, USUAL_BYTES);

/** What may wait in a socket where so much usually may. */
export const waitingBytesMax = ({ writableHighWaterMark: bytes }: Duplex, usual: number): number =>
  bytes < USUAL_BYTES ? bytes : usual;
