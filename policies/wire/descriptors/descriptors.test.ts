import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type AnyDesc, createRegistry, type DescFile, isMessage, ScalarType } from '@bufbuild/protobuf';
import { parentTypes, qualifiedName } from '@bufbuild/protobuf/reflect';
import { messageDesc } from './descriptors.ts';
import { WireFile } from './file.ts';
import { byLibrary, generated, isOfLibrary } from './generated.testing.ts';

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null;
const isDesc = (value: Members): value is AnyDesc & Members => 'kind' in value && typeof value['kind'] === 'string';

/** Follows everything that is to be read of a descriptor, with the library's own as the measure. */
class Comparison {
  /** What stands for which of the library's; also where cycles end. */
  private readonly pairs = new Map<Members, Members>();

  /** How many were compared of a kind. */
  readonly compared: Record<string, number> = {};

  value(ours: unknown, theirs: unknown, path: string): void {
    if (typeof theirs === 'function') this.result(ours, theirs, path);
    else if (Array.isArray(theirs)) this.list(ours, theirs, path);
    else if (isObject(theirs)) this.object(ours, theirs, path);
    else assert.equal(ours, theirs, path);
  }

  private list(ours: unknown, theirs: readonly unknown[], path: string): void {
    assert.ok(Array.isArray(ours), path);
    assert.equal(ours.length, theirs.length, path);
    for (const [i, item] of theirs.entries()) this.value(ours[i], item, `${path}[${i}]`);
  }

  private object(ours: unknown, theirs: Members, path: string): void {
    assert.ok(isObject(ours), path);
    const known = this.pairs.get(theirs);
    if (known !== undefined) {
      assert.equal(ours, known, `${path} is one object and not two`);
      return;
    }
    if (!isDesc(theirs)) {
      assert.deepEqual(Object.keys(ours), Object.keys(theirs), path);
      for (const [key, value] of Object.entries(theirs)) this.value(ours[key], value, `${path}.${key}`);
      return;
    }
    this.pairs.set(theirs, ours);
    this.compared[theirs.kind] = (this.compared[theirs.kind] ?? 0) + 1;
    assert.ok(isDesc(ours), path);
    assert.equal(String(ours), String(theirs));
    assert.equal(qualifiedName(ours), qualifiedName(theirs));
    if (theirs.kind !== 'file') assert.deepEqual(parentTypes(ours).map(String), parentTypes(theirs).map(String));
    for (const key of Object.keys(theirs)) {
      if (key === 'proto') this.proto(ours, theirs, path);
      else this.value(ours[key], theirs[key], `${path}.${key}`);
    }
  }

  private result(ours: unknown, theirs: unknown, path: string): void {
    assert.ok(typeof ours === 'function' && typeof theirs === 'function', path);
    // Of these two kinds alone, neither of which takes anything; `toString` was compared with its object.
    if (path.endsWith('.getDefaultValue')) assert.equal(ours(), theirs(), path);
    else assert.ok(path.endsWith('.toString'), path);
  }

  private proto(ours: AnyDesc, theirs: AnyDesc, path: string): void {
    const file = ours.kind === 'file' ? ours : parentTypes(ours).at(-1);
    // What is imported of the library has one.
    if (!(file instanceof WireFile)) return;
    if (ours.kind !== 'file' || theirs.kind !== 'file') {
      assert.throws(() => ours.proto, /is not kept/, path);
      return;
    }
    for (const key of ['name', 'package', 'syntax', 'edition', 'dependency', 'service', 'extension'] as const) {
      assert.deepEqual(ours.proto[key], theirs.proto[key], `${path}.${key}`);
    }
    assert.throws(() => ours.proto.messageType, /is not kept/);
    assert.throws(() => ours.proto.enumType, /is not kept/);
  }
}

function library({ name }: DescFile): DescFile {
  const file = byLibrary.getFile(`${name}.proto`);
  assert.ok(file !== undefined, `${name} is not in the set`);
  return file;
}

describe('our descriptors say what the library makes of the same set', () => {
  test('every file, message, field, oneof, enum and value', () => {
    const comparison = new Comparison();
    for (const { file } of generated) if (!isOfLibrary(file)) comparison.value(file, library(file), file.name);
    const { file, message, field, oneof, enum: enums, enum_value: values } = comparison.compared;
    assert.equal(file, [...byLibrary.files].length);
    const types = [...byLibrary];
    assert.equal(message, types.filter(({ kind }) => kind === 'message').length);
    assert.equal(enums, types.filter(({ kind }) => kind === 'enum').length);
    for (const count of [field, oneof, values]) assert.ok(count !== undefined && count > 50);
  });

  test('the well-known types, which are bundled in place of the library’s', () => {
    const comparison = new Comparison();
    const ours = generated.filter(({ file }) => isOfLibrary(file));
    assert.ok(ours.length >= 5);
    for (const { file } of ours) comparison.value(file, library(file), file.name);
  });

  test('what a schema is exported as is what it is', () => {
    for (const { file, schemas } of generated) {
      const prefix = file.proto.package === '' ? '' : `${file.proto.package}.`;
      const types = [...file.allMessages, ...file.allEnums];
      assert.deepEqual(
        new Map([...schemas].map(([name, type]) => [name, type.typeName])),
        new Map(types.map(({ typeName }) => [`${typeName.slice(prefix.length).replaceAll('.', '_')}Schema`, typeName])),
      );
      for (const type of schemas.values()) assert.ok(types.some((one) => one === type));
    }
  });
});

describe('what is made when', () => {
  /** A field of a type that there is not is found out when the fields are made. */
  const wrong = () => new WireFile('test/wrong test\nWrong/one bad 1M7|0\nRight name 1i many 2e/', []);

  test('a schema, and a registry of schemas, make no fields', () => {
    const file = wrong();
    const schema = messageDesc(file, 0);
    const registry = createRegistry(schema, messageDesc(file, 1));
    assert.equal(registry.getMessage('test.Wrong'), schema);
    assert.equal(isMessage({ $typeName: 'test.Wrong' }, schema), true);
    assert.equal(String(schema), 'message test.Wrong');
    for (const key of ['fields', 'field', 'members', 'oneofs'] as const) {
      assert.throws(() => schema[key], /has nothing at 7/);
    }
  });

  test('fields are made once, and of the message that is looked at alone', () => {
    const schema = messageDesc(wrong(), 1);
    const { fields, field, members } = schema;
    assert.deepEqual(
      fields.map(({ name, scalar }) => [name, scalar]),
      [
        ['name', ScalarType.STRING],
        ['many', ScalarType.INT32],
      ],
    );
    assert.equal(fields[1]?.fieldKind === 'list' && fields[1].packed, false);
    assert.equal(schema.fields, fields);
    assert.equal(schema.field, field);
    assert.equal(schema.members, members);
  });
});
