import { create, type DescMessage, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';

export const packed = <Desc extends DescMessage>(schema: Desc, init?: MessageInitShape<Desc>): Any =>
  anyPack(schema, create(schema, init));
