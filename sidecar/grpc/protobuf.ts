/*
 * Protocol buffers by hand: the few messages of checks, leases and reports would keep the codec of all of xDS loaded, for
 * as long as there are requests. https://protobuf.dev/programming-guides/encoding/
 */
const VARINT = 0;
const BIT64 = 1;
const LENGTH = 2;
const BIT32 = 5;

/** Writes one message; messages inside of it are written first. */
export class MessageWriter {
  private readonly parts: Buffer[] = [];

  /** 0 is what an absent field says. */
  number(field: number, value: number): this {
    if (value === 0) return this;
    this.parts.push(varint(field * 8 + VARINT), varint(value));
    return this;
  }

  double(field: number, value: number): this {
    if (value === 0) return this;
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.parts.push(varint(field * 8 + BIT64), bytes);
    return this;
  }

  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value));
  }

  bytes(field: number, value: Buffer): this {
    this.parts.push(varint(field * 8 + LENGTH), varint(value.length), value);
    return this;
  }

  message(field: number, message: MessageWriter): this {
    return this.bytes(field, message.finish());
  }

  /** A map of text to text is a list of pairs. */
  entry(field: number, key: string, value: string): this {
    return this.message(field, new MessageWriter().text(1, key).text(2, value));
  }

  finish(): Buffer {
    return Buffer.concat(this.parts);
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

export interface Field {
  readonly number: number;
  /** Text and messages are bytes. */
  readonly value: number | Buffer;
}

const VARINT_BYTES_MAX = 10;

/**
 * Throws on what is no message. Unknown fields are passed over by whoever asks; of fixed numbers only doubles are told,
 * and only to those who have some.
 */
export function* fieldsOf(bytes: Buffer, doubles: 'told' | 'passed over' = 'passed over'): Generator<Field> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let i = 0, scale = 1; i < VARINT_BYTES_MAX; i++, scale *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw new Error('a number has no end');
  };
  const skip = (count: number): void => {
    at += count;
    if (at > bytes.length) throw new Error('a field is cut off');
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw new Error('there is no field 0');
    switch (tag % 8) {
      case VARINT:
        yield { number, value: readVarint() };
        break;
      case BIT64:
        skip(8);
        if (doubles === 'told') yield { number, value: bytes.readDoubleLE(at - 8) };
        break;
      case LENGTH: {
        const length = readVarint();
        const start = at;
        skip(length);
        yield { number, value: bytes.subarray(start, at) };
        break;
      }
      case BIT32:
        skip(4);
        break;
      default:
        throw new Error(`no field is of wire type ${tag % 8}`);
    }
  }
}
