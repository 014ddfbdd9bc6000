import type { DescEnum, DescField, DescMessage, DescOneof, ScalarType } from '@bufbuild/protobuf';
import { safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { FieldDescriptorProto, OneofDescriptorProto } from '@bufbuild/protobuf/wkt';
import { notKept } from './not-kept.ts';
import { camelCase, type Text } from './text.ts';

/** Where a field finds the types that it names: of its own file from 0, of the second that its file imports from 2. */
export interface Types {
  message(index: number, from: number): DescMessage;
  enum(index: number, from: number): DescEnum;
}

type FieldKind = DescField['fieldKind'];
type ElementKind = 'scalar' | 'enum' | 'message';

/** google.protobuf.FeatureSet.FieldPresence */
const EXPLICIT = 1;
const IMPLICIT = 2;
/** google.protobuf.FieldDescriptorProto.Type: those that have a length before them are never packed. */
const STRING = 9;
const BYTES = 12;

/** What the text says, by its characters; a scalar type is as far in the alphabet as its number says. */
const SCALARS = 0x60;
const MESSAGE = 0x4d; // M
const ENUM = 0x45; // E
const MAP = 0x3c; // <
const AT = 0x40; // @
const LIST = 0x2a; // *
const LIST_UNPACKED = 0x2f; // /
const OPTIONAL = 0x3f; // ?
const ONEOF = 0x7c; // |

/** proto3 has no defaults of its own. */
const noDefault = (): undefined => undefined;

/** What a field is to the library (`DescField`); all of its kinds have the same members, so that they have one shape. */
class WireField {
  readonly kind = 'field';
  readonly name: string;
  readonly number: number;
  readonly parent: DescMessage;
  oneof: WireOneof | undefined = undefined;
  readonly jsonName: string;
  localName: string;
  readonly deprecated = false;
  readonly utf8Validation = true;
  readonly longAsString = false;
  presence: typeof EXPLICIT | typeof IMPLICIT = IMPLICIT;
  fieldKind: FieldKind = 'scalar';
  listKind: ElementKind | undefined = undefined;
  mapKind: ElementKind | undefined = undefined;
  mapKey: ScalarType | undefined = undefined;
  scalar: ScalarType | undefined = undefined;
  message: DescMessage | undefined = undefined;
  enum: DescEnum | undefined = undefined;
  packed: boolean | undefined = undefined;
  delimitedEncoding: false | undefined = undefined;
  getDefaultValue: (() => undefined) | undefined = undefined;

  constructor(parent: DescMessage, name: string, number: number) {
    this.parent = parent;
    this.name = name;
    this.number = number;
    this.jsonName = camelCase(name);
    this.localName = safeObjectProperty(this.jsonName);
  }

  /** Of one value, or of each in a list or map. */
  setType(code: number, text: Text, types: Types): ElementKind {
    if (code !== MESSAGE && code !== ENUM) {
      this.scalar = code - SCALARS;
      return 'scalar';
    }
    const index = text.number();
    const from = text.has(AT) ? text.number() : 0;
    if (code === ENUM) {
      this.enum = types.enum(index, from);
      return 'enum';
    }
    this.message = types.message(index, from);
    this.delimitedEncoding = false;
    return 'message';
  }

  get proto(): FieldDescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `field ${this.parent.typeName}.${this.name}`;
  }
}

export class WireOneof implements DescOneof {
  readonly kind = 'oneof';
  readonly name: string;
  readonly localName: string;
  readonly parent: DescMessage;
  readonly fields: DescField[] = [];
  readonly deprecated = false;

  constructor(parent: DescMessage, name: string) {
    this.parent = parent;
    this.name = name;
    this.localName = safeObjectProperty(camelCase(name));
  }

  get proto(): OneofDescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `oneof ${this.parent.typeName}.${this.name}`;
  }
}

/** Reads a field as `scripts/describe-wire.ts` has written it. */
export function readField(text: Text, parent: DescMessage, types: Types, oneofs: readonly WireOneof[]): DescField {
  const field = new WireField(parent, text.word(), text.number());
  const code = text.code();
  if (code === MAP) {
    field.fieldKind = 'map';
    field.mapKey = text.code() - SCALARS;
    field.mapKind = field.setType(text.code(), text, types);
    field.delimitedEncoding = false;
    text.code();
  } else {
    setKind(field, field.setType(code, text, types), text, oneofs);
  }
  return field as DescField;
}

/** Reads on up to the next field. */
function setKind(field: WireField, kind: ElementKind, text: Text, oneofs: readonly WireOneof[]): void {
  const how = text.code();
  if (how === LIST || how === LIST_UNPACKED) {
    field.fieldKind = 'list';
    field.listKind = kind;
    field.packed = how === LIST && kind !== 'message' && field.scalar !== STRING && field.scalar !== BYTES;
    text.code();
    return;
  }
  field.fieldKind = kind;
  field.getDefaultValue = noDefault;
  if (how === ONEOF) {
    field.oneof = oneofs[text.number()];
    // It is no property of the message, but of the oneof's object.
    field.localName = field.jsonName;
    field.presence = EXPLICIT;
    text.code();
  } else if (how === OPTIONAL) {
    field.presence = EXPLICIT;
    text.code();
  } else if (kind === 'message') {
    field.presence = EXPLICIT;
  }
}
