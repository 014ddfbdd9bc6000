import type { ResponseFlag } from '../../http/errors.ts';

/** AIP-193: a reason is a name of at least three upper-case characters; flags of two would not do. */
const REASONS: Readonly<Record<ResponseFlag, string>> = {
  UF: 'UPSTREAM_CONNECTION_FAILURE',
  UO: 'UPSTREAM_OVERFLOW',
  UH: 'NO_HEALTHY_UPSTREAM',
  UC: 'UPSTREAM_CONNECTION_TERMINATION',
  UR: 'UPSTREAM_RESET',
  UT: 'UPSTREAM_TIMEOUT',
  UMSDR: 'UPSTREAM_MAX_DURATION',
  UPE: 'UPSTREAM_PROTOCOL_ERROR',
  NR: 'NO_ROUTE',
  NC: 'NO_CLUSTER',
  URX: 'RETRIES_EXHAUSTED',
  DC: 'DOWNSTREAM_CONNECTION_TERMINATION',
  DPE: 'DOWNSTREAM_PROTOCOL_ERROR',
  DT: 'DURATION_TIMEOUT',
  SI: 'STREAM_IDLE_TIMEOUT',
  UAEX: 'ACCESS_DENIED',
  RL: 'RATE_LIMITED',
  FI: 'FAULT_INJECTED',
  DI: 'DELAY_INJECTED',
  OM: 'OVERLOADED',
  DR: 'DRAINING',
};

const DOMAIN = 'weft.dev';
const ERROR_INFO_TYPE = 'type.googleapis.com/google.rpc.ErrorInfo';
const DETAIL_CHARS_MAX = 1_024;

const PRINTABLE = /^[\x20-\x24\x26-\x7e]*$/;

/** gRPC over HTTP/2, Status-Message: UTF-8, and what is not printable ASCII, or is a percent sign, is percent-encoded. */
export function encodeGrpcMessage(text: string): string {
  const short = text.length > DETAIL_CHARS_MAX ? text.slice(0, DETAIL_CHARS_MAX) : text;
  if (PRINTABLE.test(short)) return short;
  let out = '';
  for (const byte of Buffer.from(short)) {
    if (byte >= 0x20 && byte <= 0x7e && byte !== 0x25) out += String.fromCharCode(byte);
    else out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

/** Protocol Buffers encoding: base-128 varint. */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 0x7f) {
    bytes.push((left & 0x7f) | 0x80);
    left >>>= 7;
  }
  bytes.push(left);
  return Buffer.from(bytes);
}

const LENGTH_DELIMITED = 2;

/** A string, bytes or message field. */
function field(number: number, value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([varint((number << 3) | LENGTH_DELIMITED), varint(bytes.length), bytes]);
}

const mapEntry = (key: string, value: string): Buffer => Buffer.concat([field(1, key), field(2, value)]);

/**
 * `grpc-status-details-bin` of an answer of our own: google.rpc.Status with one google.rpc.ErrorInfo, so that a client
 * can see that it was the mesh, and why. Base64 without padding (gRPC over HTTP/2, Binary Header).
 */
export function statusDetails(code: number, message: string, flag: ResponseFlag | ''): string {
  const detail = message.length > DETAIL_CHARS_MAX ? message.slice(0, DETAIL_CHARS_MAX) : message;
  const info: Buffer[] = [field(1, flag === '' ? 'DIRECT_RESPONSE' : REASONS[flag]), field(2, DOMAIN)];
  if (flag !== '') info.push(field(3, mapEntry('flag', flag)));
  if (detail !== '') info.push(field(3, mapEntry('detail', detail)));
  const any = Buffer.concat([field(1, ERROR_INFO_TYPE), field(2, Buffer.concat(info))]);
  const status = Buffer.concat([Buffer.from([1 << 3]), varint(code), field(2, detail), field(3, any)]);
  return status.toString('base64').replace(/=+$/, '');
}
