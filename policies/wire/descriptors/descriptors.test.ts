import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRegistry, type DescFile, isMessage, ScalarType } from '@bufbuild/protobuf';
import { Comparison } from './comparison.testing.ts';
import { messageDesc } from './descriptors.ts';
import { WireFile } from './file.ts';
import { byLibrary, generated, isOfLibrary } from './generated.testing.ts';

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
