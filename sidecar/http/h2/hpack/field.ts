import { lowerName, ownString } from '../../field-names.ts';
import { FIELD_VALUE, TOKEN } from '../../h1/chars.ts';

/** What a field is to the rules of RFC 9113 section 8: decided once when a Field is made, compared as a number later. */
export const FieldKind = {
  REGULAR: 0,
  METHOD: 1,
  SCHEME: 2,
  AUTHORITY: 3,
  PATH: 4,
  STATUS: 5,
  /** `:protocol` of extended CONNECT (RFC 8441 section 4). */
  PROTOCOL: 6,
  /** `:weft-version`, between sidecars only: the HTTP version that the message came in with. */
  WEFT_VERSION: 7,
  UNKNOWN_PSEUDO: 8,
  /** RFC 9113 section 8.2.2. */
  CONNECTION_SPECIFIC: 9,
  TE: 10,
  CONTENT_LENGTH: 11,
  COOKIE: 12,
  HOST: 13,
  EXPECT: 14,
  /** Name or value that RFC 9113 section 8.2.1 forbids, or octets that RFC 9110 section 5.5 has no place for. */
  INVALID: 15,
  /** Frames a message for applications that take `_` for `-` (RFC 3875 section 4.1.18). */
  FRAMING_ALIAS: 16,
} as const;
export type FieldKind = (typeof FieldKind)[keyof typeof FieldKind];

/** RFC 7541 section 4.1. */
export const FIELD_OVERHEAD_BYTES = 32;

/** One field of a head. Immutable: the one in a table is handed out for each message that refers to it. */
export interface Field {
  /** As on the wire. */
  readonly name: string;
  readonly lower: string;
  readonly value: string;
  readonly kind: FieldKind;
  /** Name, value and 32 (RFC 7541 section 4.1). */
  readonly sizeBytes: number;
  /** As a line of HTTP/1, if it has come several times; otherwise empty. */
  readonly line: string;
}

/** A field of a table that has come so often comes again. */
const USES_MIN = 4;

/** A Field with what its name alone says, for fields that take the name from a table. */
export class NamedField implements Field {
  readonly name: string;
  readonly lower: string;
  readonly value: string;
  readonly kind: FieldKind;
  readonly sizeBytes: number;
  readonly nameKind: FieldKind;
  private made = '';
  private uses = 0;

  constructor(name: string, lower: string, nameKind: FieldKind, value: string) {
    this.name = name;
    this.lower = lower;
    this.value = value;
    this.nameKind = nameKind;
    this.kind = isFieldValue(value) ? nameKind : FieldKind.INVALID;
    this.sizeBytes = name.length + value.length + FIELD_OVERHEAD_BYTES;
  }

  get line(): string {
    if (this.made === '' && ++this.uses >= USES_MIN) this.made = ownString(`${this.name}: ${this.value}\r\n`);
    return this.made;
  }

  /** A field of the same name. */
  withValue(value: string): NamedField {
    return new NamedField(this.name, this.lower, this.nameKind, value);
  }
}

const kindOfName = new Map<string, FieldKind>([
  [':method', FieldKind.METHOD],
  [':scheme', FieldKind.SCHEME],
  [':authority', FieldKind.AUTHORITY],
  [':path', FieldKind.PATH],
  [':status', FieldKind.STATUS],
  [':protocol', FieldKind.PROTOCOL],
  [':weft-version', FieldKind.WEFT_VERSION],
  ['connection', FieldKind.CONNECTION_SPECIFIC],
  ['keep-alive', FieldKind.CONNECTION_SPECIFIC],
  ['proxy-connection', FieldKind.CONNECTION_SPECIFIC],
  ['transfer-encoding', FieldKind.CONNECTION_SPECIFIC],
  ['upgrade', FieldKind.CONNECTION_SPECIFIC],
  ['http2-settings', FieldKind.CONNECTION_SPECIFIC],
  ['te', FieldKind.TE],
  ['content-length', FieldKind.CONTENT_LENGTH],
  ['cookie', FieldKind.COOKIE],
  ['host', FieldKind.HOST],
  ['expect', FieldKind.EXPECT],
  ['content_length', FieldKind.FRAMING_ALIAS],
  ['transfer_encoding', FieldKind.FRAMING_ALIAS],
]);

const SP = 0x20;
const HTAB = 0x09;
const COLON = 0x3a;
/** The characters that FIELD_VALUE has not; for long values the expression is faster than a loop, for short ones slower. */
const NOT_FIELD_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const LOOP_CHARS_MAX = 24;

/** RFC 9113 section 8.2.1; RFC 9110 section 5.5. */
function isFieldValue(value: string): boolean {
  const length = value.length;
  if (length === 0) return true;
  const first = value.charCodeAt(0);
  const last = value.charCodeAt(length - 1);
  if (first === SP || first === HTAB || last === SP || last === HTAB) return false;
  if (length > LOOP_CHARS_MAX) return !NOT_FIELD_VALUE.test(value);
  for (let i = 0; i < length; i++) {
    if (FIELD_VALUE[value.charCodeAt(i)] !== 1) return false;
  }
  return true;
}

/** RFC 9113 section 8.2.1: a token, in lower case unless both sides agreed to keep the casing of HTTP/1. */
function isFieldName(name: string, keepsCase: boolean): boolean {
  const length = name.length;
  if (length === 0) return false;
  for (let i = 0; i < length; i++) {
    const c = name.charCodeAt(i);
    if (TOKEN[c] !== 1) return false;
    if (!keepsCase && c >= 0x41 && c <= 0x5a) return false;
  }
  return true;
}

/** A field whose name is in no table. */
export function newField(name: string, value: string, keepsCase: boolean): NamedField {
  if (name.charCodeAt(0) === COLON) {
    return new NamedField(name, name, kindOfName.get(name) ?? FieldKind.UNKNOWN_PSEUDO, value);
  }
  if (!isFieldName(name, keepsCase)) return new NamedField(name, name.toLowerCase(), FieldKind.INVALID, value);
  const lower = lowerName(name);
  return new NamedField(name, lower, kindOfName.get(lower) ?? FieldKind.REGULAR, value);
}
