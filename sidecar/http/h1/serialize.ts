import type { RequestHead, ResponseHead } from '../exchange.ts';
import type { Headers } from '../headers.ts';

/** Reason phrases of the statuses that the proxy answers itself; others pass the upstream's on (RFC 9112 section 4). */
const REASONS = new Map<number, string>([
  [100, 'Continue'],
  [101, 'Switching Protocols'],
  [200, 'OK'],
  [204, 'No Content'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [408, 'Request Timeout'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
]);

const STATUS_LINE_200 = 'HTTP/1.1 200 OK\r\n';

export function statusLine(head: ResponseHead): string {
  if (head.status === 200 && (head.reason === 'OK' || head.reason === '')) return STATUS_LINE_200;
  const reason = head.reason === '' ? (REASONS.get(head.status) ?? '') : head.reason;
  return `HTTP/1.1 ${head.status} ${reason}\r\n`;
}

/** RFC 9112 section 3: always in the form that an origin server takes, but for CONNECT. Host comes first. */
export function requestLineAndHost(head: RequestHead): string {
  const target = head.method === 'CONNECT' ? head.authority : head.path;
  return `${head.method} ${target} HTTP/1.1\r\nHost: ${head.authority}\r\n`;
}

export function fieldLines(headers: Headers): string {
  let text = '';
  const count = headers.length;
  for (let i = 0; i < count; i++) text += `${headers.nameAt(i)}: ${headers.valueAt(i)}\r\n`;
  return text;
}

let dateSecond = -1;
let dateText = '';

/** `Date: ...`, made once a second (RFC 9110 section 6.6.1). */
export function dateLine(unixMs: number): string {
  const second = Math.floor(unixMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = `Date: ${new Date(second * 1000).toUTCString()}\r\n`;
  }
  return dateText;
}
