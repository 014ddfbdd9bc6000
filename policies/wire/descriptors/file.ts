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
 *     .Message/oneof/oneof field 1i other 2M3@1* third 7<iM4 fourth 8e|0 ...
 *     .=Enum/shared prefix value 0 ...
 *
 * After a field's name come its number, its type, and how it stands. A scalar type is the letter that is as far in the
 * alphabet as its number says; `M3@1` is the fourth message of the file that is imported first, `E3` the fourth enum of
 * this one; `<` and two types are a map. `?` knows whether it is set, `*` is a list, `/` one that is not packed although it
 * might be, `|0` is in the first oneof.
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
      if (line.charAt(depth) === '=') {
        enums.push(new WireEnum(this, parent, scope, line, depth + 1));
      } else {
        const message = new WireMessage(this, parent, scope, line, depth);
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

  message(index: number, from = 0): DescMessage {
    const file = this.imported(from);
    return found(file instanceof WireFile ? file.allMessages[index] : file.messages[index], index, file);
  }

  enum(index: number, from = 0): DescEnum {
    const file = this.imported(from);
    return found(file instanceof WireFile ? file.allEnums[index] : file.enums[index], index, file);
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
    return from === 0 ? this : found(this.dependencies[from - 1], from, this);
  }
}

function found<T>(type: T | undefined, index: number, file: DescFile): T {
  if (type === undefined) throw new Error(`${file} has nothing at ${index}`);
  return type;
}
