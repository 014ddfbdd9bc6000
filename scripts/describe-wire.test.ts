import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, createFileRegistry, type DescFile, type MessageInitShape } from '@bufbuild/protobuf';
import { protoCamelCase } from '@bufbuild/protobuf/reflect';
import {
  type DescriptorProtoSchema,
  type FieldDescriptorProtoSchema,
  type FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from '@bufbuild/protobuf/wkt';
import { Comparison } from '../policies/wire/descriptors/comparison.testing.ts';
import { WireFile } from '../policies/wire/descriptors/file.ts';
import { describeFile, withOwnDescriptors } from './describe-wire.ts';

type Field = MessageInitShape<typeof FieldDescriptorProtoSchema>;
type Message = MessageInitShape<typeof DescriptorProtoSchema>;

const field = (name: string, number: number, type: Type, more: Field = {}): Field => ({
  name,
  number,
  type,
  label: Label.OPTIONAL,
  jsonName: protoCamelCase(name),
  ...more,
});
const list: Field = { label: Label.REPEATED };

const others: readonly Type[] = [Type.GROUP, Type.MESSAGE, Type.ENUM];
const scalars = Object.values(Type).filter((type): type is Type => typeof type === 'number' && !others.includes(type));

const mapEntry = (name: string, key: Type, value: Field): Message => ({
  name,
  options: { mapEntry: true },
  field: [field('key', 1, key), { ...value, name: 'value', number: 2, jsonName: 'value' }],
});

const everything: Message = {
  name: 'Everything',
  oneofDecl: [{ name: 'some_choice' }, { name: 'to_string' }, { name: '_perhaps' }, { name: '_kind_of' }],
  field: [
    ...scalars.map((type) => field(`one_${type}`, type, type)),
    ...scalars.map((type) => field(`some_${type}`, 100 + type, type, list)),
    field('loose', 200, Type.INT32, { ...list, options: { packed: false } }),
    field('loose_kinds', 201, Type.ENUM, { ...list, typeName: '.Everything.Kind', options: { packed: false } }),
    field('kinds', 202, Type.ENUM, { ...list, typeName: '.Everything.Kind' }),
    field('first', 203, Type.STRING, { oneofIndex: 0 }),
    field('plain', 204, Type.ENUM, { typeName: '.Other' }),
    field('constructor', 205, Type.MESSAGE, { typeName: '.Everything', oneofIndex: 1 }),
    field('second__thing', 206, Type.ENUM, { typeName: '.Everything.Kind', oneofIndex: 0 }),
    field('perhaps', 207, Type.BYTES, { oneofIndex: 2, proto3Optional: true }),
    field('kind_of', 208, Type.ENUM, { typeName: '.Everything.Kind', oneofIndex: 3, proto3Optional: true }),
    field('to_json', 209, Type.MESSAGE, { typeName: '.Everything.Inner.Innermost' }),
    field('value_of', 210, Type.INT32),
    field('by_name', 536_870_911, Type.MESSAGE, { ...list, typeName: '.Everything.ByNameEntry' }),
    field('by_number', 212, Type.MESSAGE, { ...list, typeName: '.Everything.ByNumberEntry' }),
    field('by_truth', 213, Type.MESSAGE, { ...list, typeName: '.Everything.ByTruthEntry' }),
    field('imported', 214, Type.MESSAGE, { ...list, typeName: '.a.b.Outer.Kept' }),
    field('kind_imported', 215, Type.ENUM, { typeName: '.a.b.Outer.Mode' }),
  ],
  nestedType: [
    mapEntry('ByNameEntry', Type.STRING, field('', 2, Type.MESSAGE, { typeName: '.Everything.Inner' })),
    { name: 'Inner', nestedType: [{ name: 'Innermost', field: [field('x1_y', 1, Type.UINT32)] }] },
    mapEntry('ByNumberEntry', Type.SINT64, field('', 2, Type.ENUM, { typeName: '.Everything.Kind' })),
    mapEntry('ByTruthEntry', Type.BOOL, field('', 2, Type.DOUBLE)),
  ],
  enumType: [
    {
      name: 'Kind',
      options: { allowAlias: true },
      value: [
        { name: 'KIND_NONE', number: 0 },
        { name: 'KIND_LOW', number: -5 },
        { name: 'KIND_LEAST', number: -5 },
        { name: 'KIND_toString', number: 2_147_483_647 },
      ],
    },
  ],
};

const files: MessageInitShape<typeof FileDescriptorProtoSchema>[] = [
  {
    name: 'a/b/other-file.proto',
    package: 'a.b',
    syntax: 'proto3',
    messageType: [
      { name: 'Empty' },
      {
        name: 'Outer',
        nestedType: [{ name: 'Kept' }],
        enumType: [{ name: 'Mode', value: [{ name: 'OFF', number: 0 }] }],
      },
    ],
  },
  {
    name: 'everything.proto',
    syntax: 'proto3',
    dependency: ['a/b/other-file.proto'],
    messageType: [everything],
    enumType: [
      {
        name: 'Other',
        value: [
          { name: 'ZERO', number: 0 },
          { name: 'constructor', number: 1 },
        ],
      },
    ],
  },
];

function built(set: typeof files): readonly DescFile[] {
  return [...createFileRegistry(create(FileDescriptorSetSchema, { file: set })).files];
}

test('what a file says comes back, whatever proto3 has', () => {
  const [other, all] = built(files);
  assert.ok(other !== undefined && all !== undefined);
  const ours = new WireFile(describeFile(all), [new WireFile(describeFile(other), [])]);
  const comparison = new Comparison();
  comparison.value(ours, all, 'everything');
  assert.deepEqual(comparison.compared, { file: 2, enum: 3, enum_value: 7, message: 6, field: 47, oneof: 2 });
});

describe('what our descriptors cannot say is refused', () => {
  const refused = (problem: RegExp, file: (typeof files)[number]) => {
    const [desc] = built([{ name: 'a.proto', syntax: 'proto3', ...file }]);
    assert.ok(desc !== undefined);
    assert.throws(() => describeFile(desc), problem);
  };

  test('another syntax', () => refused(/file a\.proto is not of proto3/, { syntax: 'proto2' }));

  test('services and extensions', () => {
    const messageType: Message[] = [{ name: 'A' }];
    const method = [{ name: 'Call', inputType: '.A', outputType: '.A' }];
    refused(/has services/, { messageType, service: [{ name: 'S', method }] });
    refused(/has extensions/, { messageType, extension: [field('more', 1, Type.BOOL, { extendee: '.A' })] });
  });

  test('a name of its own in JSON, a number as a string, what is deprecated', () => {
    const one = (more: Field) => ({ messageType: [{ name: 'A', field: [field('an_id', 1, Type.INT64, more)] }] });
    refused(/field A\.an_id has a name of its own in JSON/, one({ jsonName: 'ID' }));
    refused(/field A\.an_id is a number as a string/, one({ options: { jstype: 1 } }));
    refused(/field A\.an_id is deprecated/, one({ options: { deprecated: true } }));
  });
});

describe('in the generated code', () => {
  const source = `import { enumDesc, fileDesc, messageDesc } from "@bufbuild/protobuf/codegenv2";
export const file_everything: GenFile = fileDesc("abc", [file_a_b_other_file]);
export const InnermostSchema = messageDesc(file_everything, 0, 0, 0);
export const KindSchema = enumDesc(file_everything, 0, 0);
export const OtherSchema = enumDesc(file_everything, 0);
`;

  test('a type is named by its place among all of the file’s', () => {
    const [, all] = built(files);
    assert.ok(all !== undefined);
    assert.equal(
      withOwnDescriptors(source, all, './ours.ts'),
      `import { enumDesc, fileDesc, messageDesc } from "./ours.ts";
export const file_everything: GenFile = fileDesc(\`${describeFile(all)}\`, [file_a_b_other_file]);
export const InnermostSchema = messageDesc(file_everything, 2);
export const KindSchema = enumDesc(file_everything, 0);
export const OtherSchema = enumDesc(file_everything, 1);
`,
    );
  });

  test('imports in another order, or code of another shape, are refused', () => {
    const [, all] = built(files);
    assert.ok(all !== undefined);
    assert.throws(() => withOwnDescriptors(source.replace('[file_a', '[file_x, file_a'), all, ''), /imports file_x/);
    assert.throws(() => withOwnDescriptors(source.replace('fileDesc(', 'file('), all, ''), /is not in the generated/);
  });
});
