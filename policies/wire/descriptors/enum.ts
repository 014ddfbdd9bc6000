import type { DescEnum, DescEnumValue, DescFile, DescMessage } from '@bufbuild/protobuf';
import { safeObjectProperty } from '@bufbuild/protobuf/reflect';
import type { EnumDescriptorProto, EnumValueDescriptorProto } from '@bufbuild/protobuf/wkt';
import { notKept } from './not-kept.ts';
import { Text } from './text.ts';

class WireEnumValue implements DescEnumValue {
  readonly kind = 'enum_value';
  readonly name: string;
  readonly number: number;
  readonly parent: DescEnum;
  readonly jsonName: string;
  readonly localName: string;
  readonly deprecated = false;

  constructor(parent: DescEnum, name: string, number: number) {
    this.parent = parent;
    this.name = name;
    this.number = number;
    this.jsonName = name;
    this.localName = safeObjectProperty(name.slice(parent.sharedPrefix?.length));
  }

  get proto(): EnumValueDescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `enum value ${this.parent.typeName}.${this.name}`;
  }
}

interface Values {
  readonly values: DescEnumValue[];
  readonly value: Record<number, DescEnumValue>;
}

/** An enum whose values are made when they are first looked at. */
export class WireEnum implements DescEnum {
  readonly kind = 'enum';
  readonly name: string;
  readonly typeName: string;
  readonly file: DescFile;
  readonly parent: DescMessage | undefined;
  /** proto3 has no others. */
  readonly open = true;
  readonly sharedPrefix: string | undefined;
  readonly deprecated = false;
  private readonly text: string;
  private readonly headEnd: number;
  private made: Values | undefined = undefined;

  /** `text` is its line. */
  constructor(file: DescFile, parent: DescMessage | undefined, scope: string, text: string, nameStart: number) {
    const headEnd = text.indexOf(' ');
    const [name = '', sharedPrefix] = text.slice(nameStart, headEnd).split('/');
    this.file = file;
    this.parent = parent;
    this.name = name;
    this.typeName = scope + name;
    this.sharedPrefix = sharedPrefix;
    this.text = text;
    this.headEnd = headEnd;
  }

  get values(): DescEnumValue[] {
    this.made ??= this.make();
    return this.made.values;
  }

  get value(): Record<number, DescEnumValue> {
    this.made ??= this.make();
    return this.made.value;
  }

  get proto(): EnumDescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `enum ${this.typeName}`;
  }

  private make(): Values {
    const values: DescEnumValue[] = [];
    const value: Record<number, DescEnumValue> = {};
    const text = new Text(this.text, this.headEnd + 1);
    while (!text.ended) {
      const made = new WireEnumValue(this, text.word(), Number(text.word()));
      values.push(made);
      // Of several names of a number the first one stands.
      value[made.number] ??= made;
    }
    return { values, value };
  }
}
