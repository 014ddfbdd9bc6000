import type { DescEnum, DescExtension, DescFile, DescMessage, DescService } from '@bufbuild/protobuf';
import type { DescriptorProto, Edition, EnumDescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { WireEnum } from './enum.ts';
import { type FileOfMessages, WireMessage } from './message.ts';
import { notKept } from './not-kept.ts';

/** google.protobuf.Edition */
const EDITION_PROTO3: typeof Edition.EDITION_PROTO3 = 999;

/**
 * A `.proto` file from its text, which `scripts/describe-wire.ts` writes: a line with the file's name and its package, then
 * one for each message and enum, in front of those that are nested in it, with a dot for each that it is nested in.
 *
 *     .Message/oneof/oneof field,number,type,how ...
 *     .=Enum/shared prefix value,number ...
 *
 * A type is the number of a scalar's, `m` or `e` and a reference, or `key>type`, of a map. How it stands is `?` for what
 * knows whether it is set, `*` in a list, `/` in one that is not packed although it might be, or the number of its oneof.
 */
export class WireFile implements FileOfMessages {
  readonly kind = 'file';
  readonly edition = EDITION_PROTO3;
  readonly name: string;
  readonly dependencies: DescFile[];
  readonly allMessages: readonly WireMessage[];
  readonly allEnums: readonly WireEnum[];
  readonly deprecated = false;
  private readonly packageName: string;

  constructor(text: string, dependencies: DescFile[]) {
    const [head = '', ...lines] = text.split('\n');
    const space = head.indexOf(' ');
    this.name = head.slice(0, space);
    this.packageName = head.slice(space + 1);
    this.dependencies = dependencies;
    const top = this.packageName === '' ? '' : `${this.packageName}.`;
    const messages: WireMessage[] = [];
    const enums: WireEnum[] = [];
    /** By depth, those that what comes next may be nested in. */
    const around: WireMessage[] = [];
    for (const line of lines) {
      let depth = 0;
      while (line.charCodeAt(depth) === 0x2e) depth++;
      const parent = around[depth - 1];
      const scope = parent === undefined ? top : `${parent.typeName}.`;
      const headEnd = line.indexOf(' ');
      const heading = headEnd === -1 ? line : line.slice(0, headEnd);
      const members = headEnd === -1 ? '' : line.slice(headEnd + 1);
      if (line.charAt(depth) === '=') {
        enums.push(new WireEnum(this, parent, scope, heading.slice(depth + 1), members));
      } else {
        const message = new WireMessage(this, parent, scope, heading.slice(depth), members);
        around[depth] = message;
        messages.push(message);
      }
    }
    this.allMessages = messages;
    this.allEnums = enums;
  }

  get messages(): DescMessage[] {
    return this.allMessages.filter(({ parent }) => parent === undefined);
  }

  get enums(): DescEnum[] {
    return this.allEnums.filter(({ parent }) => parent === undefined);
  }

  get extensions(): DescExtension[] {
    return [];
  }

  /** They are left out. */
  get services(): DescService[] {
    return [];
  }

  message(reference: string): DescMessage {
    const [index, from] = split(reference);
    const file = this.imported(from);
    return found(file instanceof WireFile ? file.allMessages[index] : file.messages[index], reference);
  }

  enum(reference: string): DescEnum {
    const [index, from] = split(reference);
    const file = this.imported(from);
    return found(file instanceof WireFile ? file.allEnums[index] : file.enums[index], reference);
  }

  /** The library asks for the file's full name and its package. */
  get proto(): FileDescriptorProto {
    const types = (): never => notKept(this);
    return {
      $typeName: 'google.protobuf.FileDescriptorProto',
      name: `${this.name}.proto`,
      package: this.packageName,
      syntax: 'proto3',
      edition: 0,
      dependency: this.dependencies.map(({ proto }) => proto.name),
      publicDependency: [],
      weakDependency: [],
      optionDependency: [],
      service: [],
      extension: [],
      get messageType(): DescriptorProto[] {
        return types();
      },
      get enumType(): EnumDescriptorProto[] {
        return types();
      },
    };
  }

  toString(): string {
    return `file ${this.name}.proto`;
  }

  private imported(from: number): DescFile {
    return from === 0 ? this : found(this.dependencies[from - 1], `import ${from}`);
  }
}

/** `7` of the file itself, `7@2` of the second that it imports. */
function split(reference: string): readonly [index: number, from: number] {
  const at = reference.indexOf('@');
  return at === -1 ? [Number(reference), 0] : [Number(reference.slice(0, at)), Number(reference.slice(at + 1))];
}

function found<T>(type: T | undefined, reference: string): T {
  if (type === undefined) throw new Error(`there is no ${reference}`);
  return type;
}
