import type { DescEnum, DescExtension, DescField, DescFile, DescMessage, DescOneof } from '@bufbuild/protobuf';
import type { DescriptorProto } from '@bufbuild/protobuf/wkt';
import { readField, type Types, WireOneof } from './field.ts';
import { notKept } from './not-kept.ts';
import { Text } from './text.ts';

/** A file as its messages see it. */
export interface FileOfMessages extends DescFile, Types {
  /** All of them, however deep they are nested. */
  readonly allMessages: readonly DescMessage[];
  readonly allEnums: readonly DescEnum[];
}

interface Members {
  readonly fields: DescField[];
  readonly field: Record<string, DescField>;
  readonly oneofs: DescOneof[];
  readonly members: (DescField | DescOneof)[];
}

/** Where the names of a message and of its oneofs end, after which its fields begin. */
function headEnd(text: string): number {
  const space = text.indexOf(' ');
  return space === -1 ? text.length : space;
}

/** A message whose fields are made when they are first looked at, which the library does when it first reads or writes one. */
export class WireMessage implements DescMessage {
  readonly kind = 'message';
  readonly name: string;
  readonly typeName: string;
  readonly file: FileOfMessages;
  readonly parent: DescMessage | undefined;
  readonly deprecated = false;
  private readonly text: string;
  private readonly nameEnd: number;
  private made: Members | undefined = undefined;

  /** `text` is its line, of which it is the name alone that is read here. */
  constructor(file: FileOfMessages, parent: DescMessage | undefined, scope: string, text: string, nameStart: number) {
    const slash = text.indexOf('/');
    const end = headEnd(text);
    const nameEnd = slash === -1 || slash > end ? end : slash;
    const name = text.slice(nameStart, nameEnd);
    this.file = file;
    this.parent = parent;
    this.name = name;
    this.typeName = scope + name;
    this.text = text;
    this.nameEnd = nameEnd;
  }

  get fields(): DescField[] {
    this.made ??= this.make();
    return this.made.fields;
  }

  get field(): Record<string, DescField> {
    this.made ??= this.make();
    return this.made.field;
  }

  get oneofs(): DescOneof[] {
    this.made ??= this.make();
    return this.made.oneofs;
  }

  get members(): (DescField | DescOneof)[] {
    this.made ??= this.make();
    return this.made.members;
  }

  get nestedMessages(): DescMessage[] {
    return this.file.allMessages.filter(({ parent }) => parent === this);
  }

  get nestedEnums(): DescEnum[] {
    return this.file.allEnums.filter(({ parent }) => parent === this);
  }

  /** proto3 knows extensions of a file's options alone. */
  get nestedExtensions(): DescExtension[] {
    return [];
  }

  get proto(): DescriptorProto {
    return notKept(this);
  }

  toString(): string {
    return `message ${this.typeName}`;
  }

  private make(): Members {
    const end = headEnd(this.text);
    const oneofNames = this.nameEnd === end ? [] : this.text.slice(this.nameEnd + 1, end).split('/');
    const oneofs = oneofNames.map((name) => new WireOneof(this, name));
    const fields: DescField[] = [];
    const field: Record<string, DescField> = {};
    const members: (DescField | DescOneof)[] = [];
    const text = new Text(this.text, end + 1);
    while (!text.ended) {
      const made = readField(text, this, this.file, oneofs);
      fields.push(made);
      field[made.localName] = made;
      if (made.oneof === undefined) members.push(made);
      else if (made.oneof.fields.push(made) === 1) members.push(made.oneof);
    }
    return { fields, field, oneofs, members };
  }
}
