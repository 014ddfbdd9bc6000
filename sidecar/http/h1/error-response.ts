import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isTlsSocket } from '../../net/tls-socket.ts';
import type { ProxyError } from '../errors.ts';
import { Headers } from '../headers.ts';
import type { Output } from '../output.ts';
import { dateLine, statusLine } from './serialize.ts';

const NO_HEADERS = new Headers();
/** RFC 9110 section 15.5.22 wants it said what is spoken. */
const UPGRADE = 'Upgrade: HTTP/1.1\r\nConnection: upgrade, close\r\n';

/**
 * Writes the whole response to a request that no dispatcher answers, but for its first `announced` octets, which are
 * out already; the connection closes after it. Returns its size.
 */
export function writeError(output: Output, error: ProxyError, unixMs: number, announced: number): number {
  const body = `${error.detail}\n`;
  const head = { status: error.status, reason: '', headers: NO_HEADERS, contentLength: body.length };
  const text =
    `${statusLine(head)}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
    `${dateLine(unixMs)}${error.status === 426 ? UPGRADE : 'Connection: close\r\n'}\r\n${body}`;
  const rest = announced === 0 ? text : text.slice(announced);
  output.text(rest);
  return rest.length;
}

export function timeoutError(status: 408 | 504, flag: 'DT' | 'SI', detail: string): ProxyError {
  return { source: 'downstream', flag, status, retry: 'no', detail };
}

/** Where only the end of the connection tells the end of the content, an orderly one would look complete. */
export function cutOff(socket: Duplex, closeDelimited: boolean): void {
  if (closeDelimited && socket instanceof Socket && !isTlsSocket(socket)) socket.resetAndDestroy();
  else socket.destroy();
}
