import { createHash, randomBytes } from 'node:crypto';

/**
 * The handshake of RFC 6455 over HTTP/1 proves by a key and its answer that both sides mean WebSocket; over HTTP/2
 * `:protocol` says so, and the two fields are not used (RFC 8441 section 5). Whoever translates adds or drops them.
 */
const KEY = 'sec-websocket-key';
const ACCEPT = 'sec-websocket-accept';
/** RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function isWebSocketField(lower: string): boolean {
  return lower === KEY || lower === ACCEPT;
}

export function newWebSocketKey(): string {
  return randomBytes(16).toString('base64');
}

/** RFC 6455 section 4.2.2. */
export function acceptOf(key: string): string {
  return createHash('sha1').update(key).update(GUID).digest('base64');
}
