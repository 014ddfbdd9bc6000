import type { DescField, DescMessage, DescOneof } from '@bufbuild/protobuf';

const made = new WeakMap<DescField, DescMessage>();

/**
 * The message of a field as if it had no other: the library prepares all that a message reaches before it reads the first
 * value of it, which is most of Envoy's API.
 */
export function singleField(field: DescField): DescMessage {
  let message = made.get(field);
  if (message === undefined) {
    message = messageOf(field);
    made.set(field, message);
  }
  return message;
}

function messageOf(field: DescField): DescMessage {
  const { parent } = field;
  const oneof = field.oneof === undefined ? undefined : oneofOf(field, field.oneof);
  return {
    kind: 'message',
    typeName: parent.typeName,
    name: parent.name,
    file: parent.file,
    parent: parent.parent,
    fields: [field],
    field: { [field.localName]: field },
    oneofs: oneof === undefined ? [] : [oneof],
    members: [oneof ?? field],
    nestedEnums: [],
    nestedMessages: [],
    nestedExtensions: [],
    deprecated: parent.deprecated,
    get proto() {
      return parent.proto;
    },
    toString: () => String(parent),
  };
}

function oneofOf(field: DescField, oneof: DescOneof): DescOneof {
  return {
    kind: 'oneof',
    name: oneof.name,
    localName: oneof.localName,
    parent: oneof.parent,
    fields: [field],
    deprecated: oneof.deprecated,
    get proto() {
      return oneof.proto;
    },
    toString: () => String(oneof),
  };
}
