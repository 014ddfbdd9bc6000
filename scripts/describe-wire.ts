/**
 * Writes a `.proto` file as the text of which `policies/wire/descriptors` makes its descriptors, and puts it into the
 * generated code in place of the file's bytes, all of which the library would read when the code is loaded.
 */
import { type DescEnum, type DescField, type DescFile, type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { nestedTypes } from '@bufbuild/protobuf/reflect';
import { Edition } from '@bufbuild/protobuf/wkt';
import { camelCase } from '../policies/wire/descriptors/text.ts';

const messagesOf = (file: DescFile): DescMessage[] => [...nestedTypes(file)].filter((type) => type.kind === 'message');
const enumsOf = (file: DescFile): DescEnum[] => [...nestedTypes(file)].filter((type) => type.kind === 'enum');

function check(holds: boolean, what: { toString(): string }, problem: string): void {
  if (!holds) throw new Error(`describe-wire: ${what} ${problem}: policies/wire/descriptors cannot say that`);
}

/** As `WireFile` reads it (policies/wire/descriptors/file.ts). */
export function describeFile(file: DescFile): string {
  check(file.edition === Edition.EDITION_PROTO3, file, 'is not of proto3');
  check(file.services.length === 0, file, 'has services');
  check(file.extensions.length === 0, file, 'has extensions');
  const types = [...file.messages, ...file.enums].flatMap((type) => describeType(type, ''));
  return [`${file.name} ${file.proto.package}`, ...types].join('\n');
}

function describeType(type: DescMessage | DescEnum, dots: string): string[] {
  check(!type.deprecated, type, 'is deprecated');
  if (type.kind === 'enum') {
    check(type.open, type, 'is closed');
    const prefix = type.sharedPrefix === undefined ? '' : `/${type.sharedPrefix}`;
    return [
      [`${dots}=${type.name}${prefix}`, ...type.values.map((value) => `${value.name} ${value.number}`)].join(' '),
    ];
  }
  check(type.nestedExtensions.length === 0, type, 'has extensions');
  const head = [`${dots}${type.name}`, ...type.oneofs.map(({ name }) => name)].join('/');
  const nested = [...type.nestedMessages, ...type.nestedEnums];
  return [
    [head, ...type.fields.map(describeField)].join(' '),
    ...nested.flatMap((inner) => describeType(inner, `${dots}.`)),
  ];
}

function describeField(field: DescField): string {
  check(!field.deprecated, field, 'is deprecated');
  check(field.utf8Validation, field, 'takes any bytes');
  check(!('longAsString' in field && field.longAsString), field, 'is a number as a string');
  check(!('delimitedEncoding' in field && field.delimitedEncoding === true), field, 'is a group');
  check(
    field.fieldKind === 'list' || field.fieldKind === 'map' || field.getDefaultValue() === undefined,
    field,
    'has a default',
  );
  check(field.jsonName === camelCase(field.name), field, 'has a name of its own in JSON');
  return `${field.name} ${field.number}${typeOf(field)}${howItStands(field)}`;
}

const letter = (type: ScalarType): string => String.fromCharCode(0x60 + type);

function typeOf(field: DescField): string {
  const { file } = field.parent;
  const key = field.fieldKind === 'map' ? `<${letter(field.mapKey)}` : '';
  if (field.message !== undefined) return `${key}M${reference(messagesOf(field.message.file), field.message, file)}`;
  if (field.enum !== undefined) return `${key}E${reference(enumsOf(field.enum.file), field.enum, file)}`;
  return `${key}${letter(field.scalar)}`;
}

function reference<T extends DescMessage | DescEnum>(types: readonly T[], type: T, file: DescFile): string {
  const index = types.indexOf(type);
  if (type.file === file) return String(index);
  // The library's own files are asked for those of their top level.
  check(!type.file.name.startsWith('google/protobuf/') || type.parent === undefined, type, 'is nested in the library');
  return `${index}@${file.dependencies.indexOf(type.file) + 1}`;
}

function howItStands(field: DescField): string {
  if (field.fieldKind === 'map') return '';
  if (field.fieldKind === 'list') return field.packed || !isPackable(field) ? '*' : '/';
  if (field.oneof !== undefined) return `|${field.parent.oneofs.indexOf(field.oneof)}`;
  // A message always knows.
  return field.message === undefined && field.presence === 1 ? '?' : '';
}

const isPackable = ({ message, scalar }: DescField): boolean =>
  message === undefined && scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES;

/** The path that the generated code names a type by, as a place among all of the file's. */
function place(file: DescFile, kind: string, path: readonly number[]): number {
  const last = path.at(-1) ?? -1;
  let around: DescMessage | undefined;
  for (const index of path.slice(0, -1)) around = (around?.nestedMessages ?? file.messages)[index];
  const type =
    kind === 'enum' ? (around?.nestedEnums ?? file.enums)[last] : (around?.nestedMessages ?? file.messages)[last];
  if (type === undefined) throw new Error(`describe-wire: ${file} has no ${kind} ${path.join(', ')}`);
  return type.kind === 'enum' ? enumsOf(file).indexOf(type) : messagesOf(file).indexOf(type);
}

/** The generated code of a file, with our functions, imported from `module`, in place of the library's. */
export function withOwnDescriptors(source: string, file: DescFile, module: string): string {
  const text = describeFile(file);
  check(!/[`\\$]/.test(text), file, 'has a name that is no identifier');
  const dependencies = file.dependencies.map(({ name }) => `file_${name.replaceAll(/[^A-Za-z0-9]/g, '_')}`).join(', ');
  const rewritten = source
    .replace(/^(import \{ .* \} from )"@bufbuild\/protobuf\/codegenv2";$/m, `$1"${module}";`)
    .replace(/fileDesc\("[^"]*"(?:, \[(.*)\])?\)/, (_, given: string | undefined) => {
      check((given ?? '') === dependencies, file, `imports ${given}`);
      return `fileDesc(\`${text}\`${given === undefined ? '' : `, [${given}]`})`;
    })
    .replaceAll(/(message|enum)Desc\((\w+), ([\d, ]+)\)/g, (_, kind: string, name: string, path: string) => {
      return `${kind}Desc(${name}, ${place(file, kind, path.split(', ').map(Number))})`;
    });
  check(rewritten.includes(text), file, 'is not in the generated code');
  return rewritten;
}
