/**
 * The endpoint of a session as its client carries it, in the form that Envoy gives it: base64 of the address, or of a
 * message with the address (field 1) and the second in which it expires (field 2).
 */
interface SessionToken {
  /** `ip:port`. */
  readonly address: string;
  /** Seconds since the epoch; 0: never. */
  readonly expires: number;
}

/** An address of IPv6 with its port, and a time. */
const TOKEN_CHARS_MAX = 128;
const ADDRESS = /^(\[[0-9a-f:.]{2,45}\]|[0-9.]{7,15}):[0-9]{1,5}$/;

const ADDRESS_TAG = 0x0a;
const EXPIRES_TAG = 0x10;

export const encodeAddress = (address: string): string => Buffer.from(address, 'latin1').toString('base64');

export function encodeToken({ address, expires }: SessionToken): string {
  const text = Buffer.from(address, 'latin1');
  const bytes = [ADDRESS_TAG, text.length, ...text];
  if (expires > 0) {
    bytes.push(EXPIRES_TAG);
    let rest = expires;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
    bytes.push(rest);
  }
  return Buffer.from(bytes).toString('base64');
}

/** What a client sent, in either form; undefined for anything else, which anybody may send. */
export function decodeToken(text: string): SessionToken | undefined {
  if (text.length === 0 || text.length > TOKEN_CHARS_MAX) return undefined;
  const bytes = Buffer.from(text, 'base64');
  const plain = bytes.toString('latin1');
  if (ADDRESS.test(plain)) return { address: plain, expires: 0 };
  const length = bytes[1] ?? 0;
  if (bytes[0] !== ADDRESS_TAG || bytes.length < 2 + length) return undefined;
  const address = bytes.toString('latin1', 2, 2 + length);
  const expires = readExpires(bytes, 2 + length);
  return expires !== undefined && ADDRESS.test(address) ? { address, expires } : undefined;
}

function readExpires(bytes: Buffer, at: number): number | undefined {
  if (at === bytes.length) return 0;
  if (bytes[at] !== EXPIRES_TAG) return undefined;
  let value = 0;
  let scale = 1;
  for (let i = at + 1; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (byte < 0x80) return i === bytes.length - 1 && Number.isSafeInteger(value) ? value : undefined;
  }
  return undefined;
}
