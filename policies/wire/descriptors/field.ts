import type { DescEnum, DescField, DescMessage, DescOneof, ScalarType } from '@bufbuild/protobuf';
import { protoCamelCase, safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { FieldDescriptorProto, OneofDescriptorProto } from '@bufbuild/protobuf/wkt';
import { notKept } from './not-kept.ts';

/** Where a field finds the types that it names: `3` is of its own file, `3@2` of the second that its file imports. */
export interface Types {
  message(reference: string): DescMessage;
  enum(reference: string): DescEnum;
}

type FieldKind = DescField['fieldKind'];
type ElementKind = 'scalar' | 'enum' | 'message';

/** google.protobuf.FeatureSet.FieldPresence */
const EXPLICIT = 1;
const IMPLICIT = 2;
/** google.protobuf.FieldDescriptorProto.Type: those that have a length before them are never packed. */
const STRING = 9;
const BYTES = 12;

/** proto3 has no defaults of its own. */
const noDefault = (): undefined => undefined;

/** What a field is to the library (`DescField`); all of its kinds have the same members, so that they have one shape. */
class WireField {
  readonly kind = 'field';
  readonly name: string;
  readonly number: number;
  readonly parent: DescMessage;
  readonly oneof: WireOneof | undefined;
  readonly jsonName: string;
  readonly localName: string;
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

  constructor(parent: DescMessage, name: string, number: number, oneof: WireOneof | undefined) {
    this.parent = parent;
    this.name = name;
    this.number = number;
    this.oneof = oneof;
    this.jsonName = protoCamelCase(name);
    this.localName = oneof === undefined ? safeObjectProperty(this.jsonName) : this.jsonName;
  }

  /** Of one value, or of each in a list or map. */
  setType(types: Types, type: string): ElementKind {
    const kind = type.charAt(0);
    if (kind === 'm') {
      this.message = types.message(type.slice(1));
      this.delimitedEncoding = false;
      return 'message';
    }
    if (kind === 'e') {
      this.enum = types.enum(type.slice(1));
      return 'enum';
    }
    this.scalar = Number(type);
    return 'scalar';
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
    this.localName = safeObjectProperty(protoCamelCase(name));
  }

  get proto(): OneofDescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `oneof ${this.parent.typeName}.${this.name}`;
  }
}

/** Reads what `scripts/describe-wire.ts` has written of one field: `name,number,type` and, maybe, how it stands. */
export function fieldOf(text: string, parent: DescMessage, types: Types, oneofs: readonly WireOneof[]): DescField {
  const [name = '', number, type = '', how = ''] = text.split(',');
  const oneof = how === '' ? undefined : oneofs[Number(how)];
  const field = new WireField(parent, name, Number(number), oneof);
  const keyEnd = type.indexOf('>');
  if (keyEnd !== -1) {
    field.fieldKind = 'map';
    field.mapKey = Number(type.slice(0, keyEnd));
    field.mapKind = field.setType(types, type.slice(keyEnd + 1));
    field.delimitedEncoding = false;
  } else if (how === '*' || how === '/') {
    field.fieldKind = 'list';
    field.listKind = field.setType(types, type);
    field.packed = how === '*' && field.message === undefined && field.scalar !== STRING && field.scalar !== BYTES;
  } else {
    field.fieldKind = field.setType(types, type);
    field.getDefaultValue = noDefault;
    if (how !== '' || field.message !== undefined) field.presence = EXPLICIT;
  }
  return field as DescField;
}
