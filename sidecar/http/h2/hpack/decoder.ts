import { octetsAt } from '../../../net/octets.ts';
import { DynamicTable } from './dynamic-table.ts';
import type { HpackError, HpackErrorKind } from './error.ts';
import { type Field, type NamedField, newField } from './field.ts';
import { decodedBytesMax, huffmanDecode } from './huffman.ts';
import { STATIC_ENTRIES, staticFields } from './static-table.ts';

export type { HpackError } from './error.ts';

export interface FieldSink {
  field(field: Field): void;
}

interface HpackDecoderOptions {
  /** The SETTINGS_HEADER_TABLE_SIZE that we send. */
  readonly tableBytesMax: number;
  /** Of a name or a value, decoded. */
  readonly stringBytesMax: number;
  /** The peer is a sidecar, which keeps the casing of HTTP/1 names. */
  readonly keepsCase: boolean;
}

/** RFC 9113 section 6.5.2: what holds until our SETTINGS are acknowledged. */
const INITIAL_TABLE_BYTES = 4_096;
/** Longer encodings than five octets are refused, also those of small numbers (RFC 7541 section 5.1). */
const INTEGER_SHIFT_MAX = 21;
const NOTHING_REQUIRED = -1;
/** First bit of an indexed field (RFC 7541 section 6.1). */
const INDEXED = 0x80;
const NO_BLOCK = Buffer.alloc(0);

/** What a Huffman string decodes into, shared by all connections: it is read before anything else is decoded. */
let scratch = Buffer.allocUnsafeSlow(1_024);

/** Turns header blocks of one connection into fields (RFC 7541 section 3). */
export class HpackDecoder {
  private readonly table: DynamicTable<NamedField>;
  private readonly stringBytesMax: number;
  private readonly keepsCase: boolean;
  /** Largest size that an update may set. */
  private sizeMax: number;
  /** We lowered the setting: the next block has to begin with an update to at most this (RFC 7541 section 4.2). */
  private sizeRequired = NOTHING_REQUIRED;
  private block: Buffer = NO_BLOCK;
  private at = 0;
  private end = 0;
  private error: HpackError | undefined;

  constructor(options: HpackDecoderOptions) {
    this.table = new DynamicTable(INITIAL_TABLE_BYTES);
    this.sizeMax = Math.max(options.tableBytesMax, INITIAL_TABLE_BYTES);
    this.stringBytesMax = options.stringBytesMax;
    this.keepsCase = options.keepsCase;
  }

  /** The peer has acknowledged our SETTINGS with that SETTINGS_HEADER_TABLE_SIZE; from now on it holds. */
  setTableBytesMax(bytes: number): void {
    this.sizeMax = bytes;
    if (bytes >= this.table.bytesMax) return;
    if (this.sizeRequired === NOTHING_REQUIRED || bytes < this.sizeRequired) this.sizeRequired = bytes;
  }

  /** Bytes that the dynamic table holds, as RFC 7541 section 4.1 counts. */
  get tableBytes(): number {
    return this.table.bytes;
  }

  /**
   * Decodes a whole header block and hands each field to `sink`. After an error the connection has to end, as the table
   * is no longer that of the peer.
   */
  decode(block: Buffer, start: number, end: number, sink: FieldSink): HpackError | undefined {
    this.block = block;
    this.at = start;
    this.end = end;
    this.error = undefined;
    this.sizeUpdates();
    while (this.at < this.end && this.error === undefined) {
      const octet = block[this.at] ?? 0;
      const field = octet >= INDEXED ? this.indexed(octet) : this.literal(octet);
      if (field !== undefined) sink.field(field);
    }
    this.block = NO_BLOCK;
    return this.error;
  }

  /** RFC 7541 section 4.2: only at the beginning of a block. */
  private sizeUpdates(): void {
    while (this.at < this.end && this.error === undefined) {
      if (((this.block[this.at] ?? 0) & 0xe0) !== 0x20) break;
      const bytes = this.integer(0x1f);
      if (this.error !== undefined) return;
      if (bytes > this.sizeMax) {
        this.fail('table-size', '6.3', `update to ${bytes} bytes, allowed are ${this.sizeMax}`);
        return;
      }
      if (bytes <= this.sizeRequired) this.sizeRequired = NOTHING_REQUIRED;
      this.table.bytesMax = bytes;
      this.table.makeRoom(0);
    }
    if (this.sizeRequired !== NOTHING_REQUIRED && this.at < this.end) {
      this.fail(
        'table-size-missing',
        '4.2',
        `no update to ${this.sizeRequired} bytes or less after the setting was lowered`,
      );
    }
  }

  /** RFC 7541 section 6.1. */
  private indexed(octet: number): NamedField | undefined {
    const index = octet & 0x7f;
    if (index === 0x7f) return this.entry(this.integer(0x7f));
    this.at++;
    return this.entry(index);
  }

  /** RFC 7541 section 6.2. */
  private literal(octet: number): NamedField | undefined {
    const indexing = octet >= 0x40;
    if (!indexing && octet >= 0x20) return this.fail('table-size', '4.2', 'update after the first field of a block');
    const mask = indexing ? 0x3f : 0x0f;
    let index = octet & mask;
    if (index === mask) index = this.integer(mask);
    else this.at++;
    const field = index === 0 ? this.newNamed() : this.named(index);
    if (field !== undefined && indexing) {
      const table = this.table;
      table.makeRoom(field.sizeBytes);
      // RFC 7541 section 4.4: one that is larger than the table leaves it empty, and is no error.
      if (field.sizeBytes <= table.bytesMax) table.add(field);
    }
    return field;
  }

  private newNamed(): NamedField | undefined {
    const name = this.text();
    if (name === undefined) return undefined;
    const value = this.text();
    return value === undefined ? undefined : newField(name, value, this.keepsCase);
  }

  private named(index: number): NamedField | undefined {
    const entry = this.entry(index);
    if (entry === undefined) return undefined;
    const value = this.text();
    return value === undefined ? undefined : entry.withValue(value);
  }

  /** RFC 7541 section 2.3.3. */
  private entry(index: number): NamedField | undefined {
    const entry = index <= STATIC_ENTRIES ? staticFields[index - 1] : this.table.at(index - STATIC_ENTRIES - 1);
    return entry ?? this.noEntry(index);
  }

  private noEntry(index: number): undefined {
    return this.fail('index', '2.3.3', `index ${index}, the last one is ${STATIC_ENTRIES + this.table.count}`);
  }

  /** RFC 7541 section 5.1; `mask` covers the prefix in the first octet. */
  private integer(mask: number): number {
    const block = this.block;
    let value = (block[this.at++] ?? 0) & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.at >= this.end) {
        this.fail('truncated', '5.1', 'the block ends within an integer');
        return 0;
      }
      if (shift > INTEGER_SHIFT_MAX) {
        this.fail('integer-overflow', '5.1', 'an integer of more than five octets');
        return 0;
      }
      const octet = block[this.at++] ?? 0;
      value += (octet & 0x7f) << shift;
      if (octet < 0x80) return value;
    }
  }

  /** A string literal (RFC 7541 section 5.2), as a string of its own: it keeps no larger one and no block alive. */
  private text(): string | undefined {
    if (this.at >= this.end) return this.fail('truncated', '5.2', 'the block ends before a string');
    const octet = this.block[this.at] ?? 0;
    let length = octet & 0x7f;
    if (length === 0x7f) length = this.integer(0x7f);
    else this.at++;
    if (this.error !== undefined) return undefined;
    const start = this.at;
    const end = start + length;
    if (octet >= 0x80) return this.huffman(start, end);
    if (length > this.stringBytesMax) return this.tooLong(length);
    if (end > this.end) return this.fail('truncated', '5.2', 'the block ends within a string');
    this.at = end;
    return octets(this.block, start, end);
  }

  private huffman(start: number, end: number): string | undefined {
    // No symbol has more than 30 bits: what is longer than that cannot decode to few enough octets.
    if (end - start > this.stringBytesMax * 4) return this.tooLong(end - start);
    if (end > this.end) return this.fail('truncated', '5.2', 'the block ends within a string');
    const needed = decodedBytesMax(end - start);
    if (scratch.length < needed) scratch = Buffer.allocUnsafeSlow(needed);
    const length = huffmanDecode(this.block, start, end, scratch);
    if (length < 0) return this.fail('huffman', '5.2', 'EOS or wrong padding in a Huffman string');
    if (length > this.stringBytesMax) return this.tooLong(length);
    this.at = end;
    return octets(scratch, 0, length);
  }

  private tooLong(bytes: number): undefined {
    return this.fail('string-too-long', '7.4', `a string of ${bytes} octets, allowed are ${this.stringBytesMax}`);
  }

  private fail(kind: HpackErrorKind, section: string, detail: string): undefined {
    this.error ??= { kind, section: `RFC 7541 section ${section}`, detail };
    return undefined;
  }
}

/** Up to this length adding characters is cheaper than a call into Node; V8 copies them, as the result is short. */
const ADDED_CHARS_MAX = 6;

function octets(source: Buffer, start: number, end: number): string {
  if (end - start > ADDED_CHARS_MAX) return octetsAt(source, start, end);
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(source[i] ?? 0);
  return text;
}
