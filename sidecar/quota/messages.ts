/** What a limit was asked for. */
export interface QuotaUse {
  readonly limit: string;
  readonly demandPerSecond: number;
  readonly leasedPerSecond: number;
}

export interface QuotaLease {
  readonly limit: string;
  readonly tokensPerSecond: number;
  readonly validMs: number;
  readonly holders: number;
}

/*
 * `weft.quota.v1`, by hand: these few fields go to and fro for as long as there is a global limit, and would keep the codec
 * of all other messages loaded. https://protobuf.dev/programming-guides/encoding/
 */
const VARINT = 0;
const BIT64 = 1;
const LENGTH = 2;
const BIT32 = 5;

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}

function lengthField(field: number, content: Buffer): Buffer {
  return Buffer.concat([varint((field << 3) | LENGTH), varint(content.length), content]);
}

function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes[0] = (field << 3) | BIT64;
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

export function encodeLeaseRequest(node: string, uses: readonly QuotaUse[]): Buffer {
  const parts = [lengthField(1, Buffer.from(node))];
  for (const { limit, demandPerSecond, leasedPerSecond } of uses) {
    const usage = [
      lengthField(1, Buffer.from(limit)),
      doubleField(2, demandPerSecond),
      doubleField(3, leasedPerSecond),
    ];
    parts.push(lengthField(2, Buffer.concat(usage)));
  }
  return Buffer.concat(parts);
}

type Field = { readonly number: number; readonly value: number | Buffer };

/** Throws on what ends in the middle of a field: the call fails then, as for any message that cannot be read. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const readVarint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes.readUInt8(at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    switch (tag % 8) {
      case VARINT:
        yield { number, value: readVarint() };
        break;
      case BIT64:
        yield { number, value: bytes.readDoubleLE(at) };
        at += 8;
        break;
      case LENGTH: {
        const end = readVarint() + at;
        if (end > bytes.length) throw new Error('a field is cut off');
        yield { number, value: bytes.subarray(at, end) };
        at = end;
        break;
      }
      case BIT32:
        at += 4;
        break;
      default:
        throw new Error(`no field is of wire type ${tag % 8}`);
    }
  }
}

export function decodeLeaseResponse(bytes: Buffer): QuotaLease[] {
  const leases: QuotaLease[] = [];
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== 'number') leases.push(decodeLease(value));
  }
  return leases;
}

function decodeLease(bytes: Buffer): QuotaLease {
  const lease = { limit: '', tokensPerSecond: 0, validMs: 0, holders: 0 };
  for (const { number, value } of fieldsOf(bytes)) {
    if (typeof value !== 'number') {
      if (number === 1) lease.limit = value.toString();
    } else if (number === 2) lease.tokensPerSecond = value;
    else if (number === 3) lease.validMs = value;
    else if (number === 4) lease.holders = value;
  }
  return lease;
}
