/**
 * Cuts an API down to what is acted on, without losing sight of the rest.
 *
 * All descriptors of Envoy's API cost a sidecar 16 MB; those that Weft acts on, a fraction. A field that is not supported
 * stays a field with its name and number, so that it is still refused by name when it is set; only its type, which
 * nobody reads, becomes the plain one that has the same bytes on the wire, and the messages behind it are left out.
 */
import { create, isFieldSet } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  type FileDescriptorProto,
  type FileDescriptorSet,
  FieldDescriptorProto_Label as Label,
  OneofDescriptorProtoSchema,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';

/** Supported fields by message; a message that is not named has all of its fields. */
export type SupportedFields = ReadonlyMap<string, ReadonlySet<string>>;

const isWellKnown = (file: FileDescriptorProto): boolean => file.name.startsWith('google/protobuf/');

/** Keeps what is reachable from the messages in `supported` and from all of the files in `whole`. */
export function pruneDescriptors(set: FileDescriptorSet, supported: SupportedFields, whole: readonly string[]): void {
  const messages = new Map<string, DescriptorProto>();
  const files = new Map<string, string>();
  const roots: string[] = [];
  for (const file of set.file) {
    file.service = [];
    visitTypes(file, (name, type) => {
      files.set(name, file.name);
      if (!('field' in type)) return;
      messages.set(name, type);
      const names = supported.get(name);
      if (names !== undefined) flattenOthers(type, names);
      if (names !== undefined || whole.includes(file.name)) roots.push(name);
    });
  }
  const reachable = reach(roots, messages);
  for (const file of set.file) {
    if (isWellKnown(file)) continue;
    file.messageType = keepMessages(file.messageType, file.package, reachable);
    file.enumType = file.enumType.filter(({ name }) => reachable.has(`${file.package}.${name}`));
    file.dependency = dependencies(file, files);
  }
  const used = new Set(set.file.filter((file) => !isWellKnown(file)).flatMap(({ dependency }) => dependency));
  set.file = set.file.filter((file) =>
    isWellKnown(file) ? used.has(file.name) : file.messageType.length + file.enumType.length > 0,
  );
}

function visitTypes(
  file: FileDescriptorProto,
  visit: (name: string, type: DescriptorProto | EnumDescriptorProto) => void,
): void {
  const inside = (scope: string, types: readonly DescriptorProto[], enums: readonly EnumDescriptorProto[]): void => {
    for (const type of enums) visit(`${scope}.${type.name}`, type);
    for (const type of types) {
      visit(`${scope}.${type.name}`, type);
      inside(`${scope}.${type.name}`, type.nestedType, type.enumType);
    }
  };
  inside(file.package, file.messageType, file.enumType);
}

/** Messages, maps and wrappers become bytes, enums int32: the same on the wire. */
function flattenOthers(message: DescriptorProto, supported: ReadonlySet<string>): void {
  for (const field of message.field) {
    if (supported.has(field.name)) continue;
    if (field.type === Type.ENUM) field.type = Type.INT32;
    else if (field.type === Type.MESSAGE) flattenMessage(message, field);
    else continue;
    field.typeName = '';
  }
}

function flattenMessage(message: DescriptorProto, field: FieldDescriptorProto): void {
  field.type = Type.BYTES;
  // An empty message that is set must still be seen as set: bytes with presence, which proto3 spells as a oneof of one.
  const inOneof = isFieldSet(field, FieldDescriptorProtoSchema.field.oneofIndex);
  if (field.label === Label.REPEATED || inOneof) return;
  field.proto3Optional = true;
  field.oneofIndex = message.oneofDecl.length;
  message.oneofDecl.push(create(OneofDescriptorProtoSchema, { name: `_${field.name}` }));
}

const typeOf = (field: FieldDescriptorProto): string => field.typeName.replace(/^\./, '');

function reach(roots: readonly string[], messages: ReadonlyMap<string, DescriptorProto>): ReadonlySet<string> {
  const reached = new Set(roots);
  const pending = [...roots];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    for (const field of messages.get(name)?.field ?? []) {
      const type = typeOf(field);
      if (type === '' || reached.has(type)) continue;
      reached.add(type);
      pending.push(type);
    }
  }
  return reached;
}

function keepMessages(types: DescriptorProto[], scope: string, reachable: ReadonlySet<string>): DescriptorProto[] {
  return types.filter((type) => {
    const name = `${scope}.${type.name}`;
    type.nestedType = keepMessages(type.nestedType, name, reachable);
    type.enumType = type.enumType.filter((inner) => reachable.has(`${name}.${inner.name}`));
    if (reachable.has(name)) return true;
    // A shell around what is nested in it.
    type.field = [];
    type.oneofDecl = [];
    return type.nestedType.length + type.enumType.length > 0;
  });
}

function dependencies(file: FileDescriptorProto, files: ReadonlyMap<string, string>): string[] {
  const needed = new Set<string>();
  visitTypes(file, (_, type) => {
    for (const field of 'field' in type ? type.field : []) {
      if (typeOf(field) === '') continue;
      const from = files.get(typeOf(field));
      if (from !== undefined && from !== file.name) needed.add(from);
    }
  });
  return [...needed].sort();
}
