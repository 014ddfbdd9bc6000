/**
 * What the generated code calls in place of the library's functions of the same names: descriptors of messages that are
 * made, from a text of their fields, when they are first used.
 */
import type { DescFile, DescMessage, Message } from '@bufbuild/protobuf';
import type { GenEnum, GenFile, GenMessage } from '@bufbuild/protobuf/codegenv2';
import { WireFile } from './file.ts';

export function fileDesc(text: string, dependencies: DescFile[] = []): GenFile {
  return new WireFile(text, dependencies);
}

/** `index` counts all of the file's messages, nested ones too, in their order. */
export function messageDesc<Shape extends Message>(file: GenFile, index: number): GenMessage<Shape> {
  const message: DescMessage = wireFile(file).message(index);
  return message as GenMessage<Shape>;
}

export function enumDesc<Shape extends number>(file: GenFile, index: number): GenEnum<Shape> {
  return wireFile(file).enum(index) as GenEnum<Shape>;
}

function wireFile(file: GenFile): WireFile {
  if (file instanceof WireFile) return file;
  throw new Error(`${file} is not of the generated code`);
}
