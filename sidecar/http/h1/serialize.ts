import type { RequestHead, ResponseHead } from '../exchange.ts';

/** Reason phrases of RFC 9110 section 15 and RFC 6585, for answers of our own and for those that came by HTTP/2. */
const REASONS = new Map<number, string>();
const PHRASES =
  '100 Continue|101 Switching Protocols|102 Processing|103 Early Hints|200 OK|201 Created|202 Accepted|' +
  '203 Non-Authoritative Information|204 No Content|205 Reset Content|206 Partial Content|207 Multi-Status|' +
  '300 Multiple Choices|301 Moved Permanently|302 Found|303 See Other|304 Not Modified|307 Temporary Redirect|' +
  '308 Permanent Redirect|400 Bad Request|401 Unauthorized|402 Payment Required|403 Forbidden|404 Not Found|' +
  '405 Method Not Allowed|406 Not Acceptable|407 Proxy Authentication Required|408 Request Timeout|409 Conflict|410 Gone|' +
  '411 Length Required|412 Precondition Failed|413 Content Too Large|414 URI Too Long|415 Unsupported Media Type|' +
  '416 Range Not Satisfiable|417 Expectation Failed|421 Misdirected Request|422 Unprocessable Content|423 Locked|' +
  '424 Failed Dependency|425 Too Early|426 Upgrade Required|428 Precondition Required|429 Too Many Requests|' +
  '431 Request Header Fields Too Large|451 Unavailable For Legal Reasons|500 Internal Server Error|501 Not Implemented|' +
  '502 Bad Gateway|503 Service Unavailable|504 Gateway Timeout|505 HTTP Version Not Supported|507 Insufficient Storage|' +
  '508 Loop Detected|511 Network Authentication Required';
for (const phrase of PHRASES.split('|')) REASONS.set(Number(phrase.slice(0, 3)), phrase.slice(4));

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

let lineLength = -1;
let lengthText = '';

/** `Content-Length: ...`, made once for responses of one length in a row. */
export function lengthLine(bytes: number): string {
  if (bytes !== lineLength) {
    lineLength = bytes;
    lengthText = `Content-Length: ${bytes}\r\n`;
  }
  return lengthText;
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
