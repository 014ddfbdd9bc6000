/** All of the generated code, and the same descriptors as the library makes them, of the set from which the code was made. */
import { globSync, readFileSync } from 'node:fs';
import {
  createFileRegistry,
  createRegistry,
  type DescEnum,
  type DescFile,
  type DescMessage,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { WireFile } from './file.ts';

const folder = new URL('../gen/', import.meta.url);

export interface GeneratedModule {
  readonly file: WireFile;
  /** By the name that they are exported by. */
  readonly schemas: ReadonlyMap<string, DescMessage | DescEnum>;
}

function isSchema(value: unknown): value is DescMessage | DescEnum {
  return typeof value === 'object' && value !== null && 'kind' in value && 'typeName' in value;
}

async function load(path: string): Promise<GeneratedModule> {
  const exports: Record<string, unknown> = await import(new URL(path, folder).href);
  const file = Object.values(exports).find((value) => value instanceof WireFile);
  if (file === undefined) throw new Error(`${path} has no descriptor`);
  const schemas = Object.entries(exports).flatMap(([name, value]) => (isSchema(value) ? [[name, value] as const] : []));
  return { file, schemas: new Map(schemas) };
}

export const generated: readonly GeneratedModule[] = await Promise.all(
  globSync('**/*_pb.ts', { cwd: folder }).sort().map(load),
);

export const byLibrary: FileRegistry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(new URL('descriptors.binpb', folder))),
);

/** Those of the library in place of what the generated code imports from it. */
export const isOfLibrary = (file: DescFile): boolean => file.name.startsWith('google/protobuf/');

export const byUs = createRegistry(...generated.map(({ file }) => file));
