/** Frames and header blocks as bytes, so that anything can be said: nothing here checks what it writes. */

export const TYPE = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

/** RFC 9113 section 7. */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const;

export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const;

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

/** Octets as Latin-1. */
export const octets = (text: string | Buffer): Buffer =>
  typeof text === 'string' ? Buffer.from(text, 'latin1') : text;

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value, 4 * i);
  });
  return bytes;
}

/** `length` may lie about the payload. */
export function frame(
  type: number,
  flags: number,
  id: number,
  payload: string | Buffer = '',
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, octets(payload)]);
}

export type FieldPair = readonly [name: string, value: string];

/** RFC 7541 section 5.1. */
export function integer(first: number, prefixBits: number, value: number): Buffer {
  const mask = 2 ** prefixBits - 1;
  if (value < mask) return Buffer.from([first | value]);
  const bytes = [first | mask];
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}

const text = (value: string): Buffer => Buffer.concat([integer(0, 7, value.length), octets(value)]);

/** A literal that enters no table, without Huffman (RFC 7541 section 6.2.2): the octets are the field's. */
export const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0]), text(name), text(value)]);

/** A literal that enters the table (RFC 7541 section 6.2.1). */
export const indexed = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0x40]), text(name), text(value)]);

export const block = (fields: readonly FieldPair[]): Buffer =>
  Buffer.concat(fields.map(([name, value]) => literal(name, value)));

export const headers = (id: number, fields: readonly FieldPair[] | Buffer, end = true): Buffer =>
  frame(
    TYPE.HEADERS,
    FLAG.END_HEADERS | (end ? FLAG.END_STREAM : 0),
    id,
    Buffer.isBuffer(fields) ? fields : block(fields),
  );

export const data = (id: number, content: string | Buffer, end = true): Buffer =>
  frame(TYPE.DATA, end ? FLAG.END_STREAM : 0, id, content);

export const reset = (id: number, code: number = CODE.CANCEL): Buffer => frame(TYPE.RST_STREAM, 0, id, uint32(code));

export const windowUpdate = (id: number, bytes: number): Buffer => frame(TYPE.WINDOW_UPDATE, 0, id, uint32(bytes));

export const goaway = (lastId: number, code: number): Buffer => frame(TYPE.GOAWAY, 0, 0, uint32(lastId, code));

export function settings(...pairs: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(6 * pairs.length);
  pairs.forEach(([id, value], i) => {
    bytes.writeUInt16BE(id, 6 * i);
    bytes.writeUInt32BE(value, 6 * i + 2);
  });
  return frame(TYPE.SETTINGS, 0, 0, bytes);
}

export const SETTINGS_ACK = frame(TYPE.SETTINGS, FLAG.ACK, 0);
