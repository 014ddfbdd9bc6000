/** DNS messages (RFC 1035 section 4, RFC 6891 for EDNS, RFC 2782 for SRV): just what a cluster's name server sends and reads. */

export const TYPE = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, AAAA: 28, SRV: 33, OPT: 41, ANY: 255 } as const;
export const CLASS_IN = 1;
export const RCODE = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const;

/** RFC 1035 section 2.3.4. */
const LABEL_BYTES_MAX = 63;
export const NAME_BYTES_MAX = 255;
const UDP_BYTES_MAX = 512;
/** What we promise to take by UDP; larger answers go by TCP. */
const EDNS_UDP_BYTES = 1232;

export interface Question {
  /** Lower case, without the final dot; the root is ''. */
  readonly name: string;
  readonly type: number;
  readonly class: number;
  /** The question as the client wrote it: some compare the case of the letters in the answer (0x20 randomization). */
  readonly wire?: Buffer;
}

export type Data =
  | { readonly type: typeof TYPE.A | typeof TYPE.AAAA; readonly address: Buffer }
  | {
      readonly type: typeof TYPE.SRV;
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly type: typeof TYPE.PTR | typeof TYPE.CNAME; readonly target: string }
  | {
      readonly type: typeof TYPE.SOA;
      readonly primary: string;
      readonly mailbox: string;
      readonly serial: number;
      readonly negativeTtl: number;
    };

export interface ResourceRecord {
  readonly name: string;
  readonly ttlSeconds: number;
  readonly data: Data;
}

export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly question: Question;
  /** Present when the client speaks EDNS. */
  readonly edns: { readonly udpBytes: number; readonly version: number } | undefined;
}

export interface Response {
  readonly rcode: number;
  readonly authoritative: boolean;
  readonly answers: readonly ResourceRecord[];
  readonly authority: readonly ResourceRecord[];
  readonly additional: readonly ResourceRecord[];
}

type QueryResult =
  | { readonly ok: true; readonly query: Query }
  /** `id` is there when the message was long enough to be answered with FORMERR. */
  | { readonly ok: false; readonly id: number | undefined; readonly rcode: number };

const HEADER_BYTES = 12;
const POINTER = 0xc0;

interface NameAt {
  readonly name: string;
  readonly next: number;
}

/** A name, compressed or not. Pointers must lead backwards, so reading always ends (RFC 1035 section 4.1.4). */
export function readName(message: Buffer, start: number): NameAt | undefined {
  const labels: string[] = [];
  let at = start;
  let next: number | undefined;
  let limit = start;
  let bytes = 1;
  for (;;) {
    const length = message[at];
    if (length === undefined) return undefined;
    if ((length & POINTER) === POINTER) {
      const low = message[at + 1];
      if (low === undefined) return undefined;
      next ??= at + 2;
      const target = ((length & 0x3f) << 8) | low;
      if (target >= limit || target < HEADER_BYTES) return undefined;
      limit = target;
      at = target;
      continue;
    }
    if ((length & POINTER) !== 0) return undefined;
    if (length === 0) return { name: labels.join('.'), next: next ?? at + 1 };
    bytes += length + 1;
    if (bytes > NAME_BYTES_MAX || at + 1 + length > message.length) return undefined;
    const label = message.subarray(at + 1, at + 1 + length);
    // A dot inside a label would read as two labels; no name we serve has one.
    if (label.includes(0x2e)) return undefined;
    labels.push(label.toString('latin1').toLowerCase());
    at += length + 1;
  }
}

export function parseQuery(message: Buffer): QueryResult {
  if (message.length < HEADER_BYTES) return { ok: false, id: undefined, rcode: RCODE.formErr };
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  // A response is not answered, not even with an error: two servers could talk for ever.
  if ((flags & 0x8000) !== 0) return { ok: false, id: undefined, rcode: RCODE.formErr };
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0) return { ok: false, id, rcode: RCODE.notImp };
  const formErr: QueryResult = { ok: false, id, rcode: RCODE.formErr };
  if (message.readUInt16BE(4) !== 1) return formErr;
  const named = readName(message, HEADER_BYTES);
  if (named === undefined || named.next + 4 > message.length) return formErr;
  const question: Question = {
    name: named.name,
    type: message.readUInt16BE(named.next),
    class: message.readUInt16BE(named.next + 2),
    wire: Buffer.from(message.subarray(HEADER_BYTES, named.next + 4)),
  };
  const records = message.readUInt16BE(6) + message.readUInt16BE(8) + message.readUInt16BE(10);
  const edns = findOpt(message, named.next + 4, records);
  if (edns === 'broken') return formErr;
  return { ok: true, query: { id, opcode, recursionDesired: (flags & 0x0100) !== 0, question, edns } };
}

function findOpt(message: Buffer, start: number, count: number): Query['edns'] | 'broken' {
  let at = start;
  let found: Query['edns'];
  for (let index = 0; index < count; index++) {
    const named = readName(message, at);
    if (named === undefined || named.next + 10 > message.length) return 'broken';
    const dataBytes = message.readUInt16BE(named.next + 8);
    if (message.readUInt16BE(named.next) === TYPE.OPT && named.name === '') {
      if (found !== undefined) return 'broken';
      const udpBytes = Math.max(UDP_BYTES_MAX, message.readUInt16BE(named.next + 2));
      found = { udpBytes, version: message[named.next + 5] ?? 0 };
    }
    at = named.next + 10 + dataBytes;
    if (at > message.length) return 'broken';
  }
  return found;
}

/** Writes names with compression: a suffix written before is replaced by a pointer to it. */
class Writer {
  #parts: Buffer[] = [];
  #size = 0;
  readonly #names = new Map<string, number>();

  bytes(value: Buffer): void {
    this.#parts.push(value);
    this.#size += value.length;
  }
  u16(value: number): void {
    const buffer = Buffer.alloc(2);
    buffer.writeUInt16BE(value & 0xffff);
    this.bytes(buffer);
  }
  u32(value: number): void {
    const buffer = Buffer.alloc(4);
    buffer.writeUInt32BE(value >>> 0);
    this.bytes(buffer);
  }
  name(name: string, compress = true): void {
    let rest = name;
    while (rest !== '') {
      const known = compress ? this.#names.get(rest) : undefined;
      if (known !== undefined) {
        this.u16(0xc000 | known);
        return;
      }
      if (this.#size < 0x4000 && !this.#names.has(rest)) this.#names.set(rest, this.#size);
      const dot = rest.indexOf('.');
      const label = Buffer.from(dot < 0 ? rest : rest.slice(0, dot), 'latin1').subarray(0, LABEL_BYTES_MAX);
      this.bytes(Buffer.from([label.length]));
      this.bytes(label);
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.bytes(Buffer.from([0]));
  }
  question(question: Question): void {
    if (question.wire === undefined) {
      this.name(question.name);
      this.u16(question.type);
      this.u16(question.class);
      return;
    }
    let at = this.#size;
    for (let rest = question.name; rest !== ''; ) {
      this.#names.set(rest, at);
      const dot = rest.indexOf('.');
      at += (dot < 0 ? rest.length : dot) + 1;
      rest = dot < 0 ? '' : rest.slice(dot + 1);
    }
    this.bytes(question.wire);
  }
  record(record: ResourceRecord): void {
    this.name(record.name);
    this.u16(record.data.type);
    this.u16(CLASS_IN);
    this.u32(record.ttlSeconds);
    const lengthAt = this.#parts.length;
    this.u16(0);
    const before = this.#size;
    this.#data(record.data);
    this.#parts[lengthAt]?.writeUInt16BE(this.#size - before);
  }
  #data(data: Data): void {
    switch (data.type) {
      case TYPE.A:
      case TYPE.AAAA:
        this.bytes(data.address);
        break;
      case TYPE.PTR:
      case TYPE.CNAME:
        this.name(data.target);
        break;
      case TYPE.SRV:
        this.u16(data.priority);
        this.u16(data.weight);
        this.u16(data.port);
        // RFC 2782: the target is not compressed.
        this.name(data.target, false);
        break;
      case TYPE.SOA:
        this.name(data.primary);
        this.name(data.mailbox);
        for (const value of [data.serial, 7200, 1800, 86400, data.negativeTtl]) this.u32(value);
    }
  }
  done(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function encode(query: Query, response: Response, truncated: boolean): Buffer {
  const writer = new Writer();
  const sections = truncated ? [[], [], []] : [response.answers, response.authority, response.additional];
  const flags =
    0x8000 |
    (response.authoritative ? 0x0400 : 0) |
    (truncated ? 0x0200 : 0) |
    (query.recursionDesired ? 0x0100 : 0) |
    0x0080 |
    response.rcode;
  writer.u16(query.id);
  writer.u16(flags);
  writer.u16(1);
  for (const section of sections) writer.u16(section.length);
  writer.question(query.question);
  for (const section of sections) for (const record of section) writer.record(record);
  const message = writer.done();
  if (query.edns === undefined) return message;
  // OPT: root name, our UDP size as class, no extended code, version 0, no options.
  const opt = Buffer.from([0, 0, TYPE.OPT, EDNS_UDP_BYTES >> 8, EDNS_UDP_BYTES & 0xff, 0, 0, 0, 0, 0, 0]);
  const counted = Buffer.concat([message, opt]);
  counted.writeUInt16BE((sections[2]?.length ?? 0) + 1, 10);
  return counted;
}

/** The response as bytes; one that does not fit is sent empty with TC set, and the client comes again by TCP. */
export function encodeResponse(query: Query, response: Response, bytesMax: number): Buffer {
  const whole = encode(query, response, false);
  if (whole.length <= bytesMax) return whole;
  const bare = encode(query, { ...response, additional: [] }, false);
  return bare.length <= bytesMax ? bare : encode(query, response, true);
}

/** An answer to something that could not be read as a query. */
export function encodeError(id: number, rcode: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x8000 | rcode, 2);
  return header;
}

export function udpBytesMax(query: Query): number {
  return query.edns === undefined ? UDP_BYTES_MAX : Math.min(query.edns.udpBytes, EDNS_UDP_BYTES);
}
