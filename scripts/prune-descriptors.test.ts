import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, createFileRegistry, fromBinary, isFieldSet, toBinary } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { pruneDescriptors } from './prune-descriptors.ts';

const field = (name: string, number: number, type: Type, typeName = '', label = Label.OPTIONAL) => ({
  name,
  number,
  type,
  typeName,
  label,
});

const api = () =>
  create(FileDescriptorSetSchema, {
    file: [
      {
        name: 'other.proto',
        package: 'other',
        syntax: 'proto3',
        messageType: [{ name: 'Big', field: [field('value', 1, Type.INT32)] }],
        enumType: [
          {
            name: 'Mode',
            value: [
              { name: 'ZERO', number: 0 },
              { name: 'ONE', number: 1 },
            ],
          },
        ],
      },
      {
        name: 'api.proto',
        package: 'api',
        syntax: 'proto3',
        dependency: ['other.proto'],
        messageType: [
          {
            name: 'Config',
            field: [
              field('name', 1, Type.STRING),
              field('kept', 2, Type.MESSAGE, '.api.Kept'),
              field('dropped', 3, Type.MESSAGE, '.other.Big'),
              field('many', 4, Type.MESSAGE, '.other.Big', Label.REPEATED),
              field('mode', 5, Type.ENUM, '.other.Mode'),
            ],
          },
          { name: 'Kept', field: [field('value', 1, Type.INT32)] },
          { name: 'Unused', field: [field('big', 1, Type.MESSAGE, '.other.Big')] },
        ],
      },
    ],
  });

test('what is not supported keeps its name and number, and is seen when it is set', () => {
  const before = createFileRegistry(api()).getMessage('api.Config');
  const set = api();
  pruneDescriptors(set, new Map([['api.Config', new Set(['name', 'kept'])]]), []);
  assert.deepEqual(
    set.file.map(({ name, messageType }) => [name, messageType.map((message) => message.name)]),
    [['api.proto', ['Config', 'Kept']]],
  );
  const after = createFileRegistry(set).getMessage('api.Config');
  const big = createFileRegistry(api()).getMessage('other.Big');
  assert.ok(before !== undefined && after !== undefined && big !== undefined);
  assert.deepEqual(
    after.fields.map(({ name, number }) => [name, number]),
    before.fields.map(({ name, number }) => [name, number]),
  );
  const full = reflect(before);
  for (const item of before.fields) {
    if (item.name === 'dropped' && item.fieldKind === 'message') full.set(item, reflect(big));
    if (item.name === 'mode' && item.fieldKind === 'enum') full.set(item, 1);
  }
  const message = fromBinary(after, toBinary(before, full.message));
  assert.deepEqual(
    after.fields.filter((item) => isFieldSet(message, item)).map(({ name }) => name),
    ['dropped', 'mode'],
  );
  assert.equal(message.$unknown, undefined);
});
