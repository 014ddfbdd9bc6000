import type { ProxyError } from '../errors.ts';
import { Headers } from '../headers.ts';
import type { Output } from '../output.ts';
import { dateLine, statusLine } from './serialize.ts';

const NO_HEADERS = new Headers();

/** Writes the whole response to a request that no dispatcher answers; the connection closes after it. Returns its size. */
export function writeError(output: Output, error: ProxyError, unixMs: number): number {
  const body = `${error.detail}\n`;
  const head = { status: error.status, reason: '', headers: NO_HEADERS, contentLength: body.length };
  const text =
    `${statusLine(head)}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
    `${dateLine(unixMs)}Connection: close\r\n\r\n${body}`;
  output.text(text);
  return text.length;
}

export const CLIENT_GONE: ProxyError = {
  source: 'downstream',
  flag: 'DC',
  status: 0,
  retry: 'no',
  detail: 'the client closed the connection before the exchange was complete',
};

export function timeoutError(status: 408 | 504, flag: 'DT' | 'SI', detail: string): ProxyError {
  return { source: 'downstream', flag, status, retry: 'no', detail };
}
