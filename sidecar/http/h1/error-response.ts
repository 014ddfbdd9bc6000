import type { ProxyError } from '../errors.ts';
import { Headers } from '../headers.ts';
import { dateLine, statusLine } from './serialize.ts';

const NO_HEADERS = new Headers();

/** The whole response to a request that never reached a dispatcher; the connection closes after it. */
export function errorResponse(error: ProxyError, unixMs: number): string {
  const body = `${error.detail}\n`;
  const head = { status: error.status, reason: '', headers: NO_HEADERS, contentLength: body.length };
  return (
    `${statusLine(head)}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
    `${dateLine(unixMs)}Connection: close\r\n\r\n${body}`
  );
}
