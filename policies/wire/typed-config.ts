import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';

export const typedConfig = <Desc extends DescMessage>(
  schema: Desc,
  init?: MessageInitShape<Desc>,
): { case: 'typedConfig'; value: Any } => ({
  case: 'typedConfig',
  value: anyPack(schema, create(schema, init)),
});
