/** Any message of a descriptor, made by reflection: the same numbers make the same message of another descriptor of it. */
import { create, type DescField, type DescMessage, type Message, ScalarType, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { AnySchema, DurationSchema } from '@bufbuild/protobuf/wkt';

const DEPTH_MAX = 4;
const strings = ['', 'a', 'envoy', 'ä€\u{1f600}', 'x'.repeat(200)];

/** Numbers that are used up one by one; after the last one there are zeros, which set nothing. */
export class Tape {
  private at = 0;
  private readonly numbers: readonly number[];

  constructor(numbers: readonly number[]) {
    this.numbers = numbers;
  }

  next(): number {
    return this.numbers[this.at++] ?? 0;
  }
}

export function messageOf(desc: DescMessage, tape: Tape): Message {
  return fill(desc, tape, 0).message;
}

function fill(desc: DescMessage, tape: Tape, depth: number): ReflectMessage {
  // JSON has these in forms of their own, which not every value fits.
  if (desc.typeName === 'google.protobuf.Any') return reflect(AnySchema, any(tape));
  const message = reflect(desc);
  const seconds = tape.next();
  if (desc.typeName === 'google.protobuf.Duration') {
    const field = desc.field['seconds'];
    if (field !== undefined) message.set(field, BigInt(seconds % 1_000));
    return message;
  }
  for (const field of desc.fields) {
    const isValue = desc.typeName === 'google.protobuf.Value' && field.name === 'string_value';
    if (isValue || (tape.next() % 3 !== 0 && depth < DEPTH_MAX)) set(message, field, tape, depth);
  }
  return message;
}

function any(tape: Tape) {
  const value = toBinary(DurationSchema, create(DurationSchema, { seconds: BigInt(tape.next() % 100) }));
  return create(AnySchema, { typeUrl: 'type.googleapis.com/google.protobuf.Duration', value });
}

function set(message: ReflectMessage, field: DescField, tape: Tape, depth: number): void {
  const count = tape.next() % 3;
  if (field.fieldKind === 'list') {
    const list = message.get(field);
    for (let i = 0; i < count; i++) list.add(oneOf(field, tape, depth));
  } else if (field.fieldKind === 'map') {
    const map = message.get(field);
    for (let i = 0; i < count; i++) map.set(scalar(field.mapKey, tape), oneOf(field, tape, depth));
  } else {
    message.set(field, oneOf(field, tape, depth));
  }
}

function oneOf(field: DescField, tape: Tape, depth: number): unknown {
  if (field.message !== undefined) return fill(field.message, tape, depth + 1);
  if (field.enum !== undefined) {
    const { values } = field.enum;
    return values[tape.next() % values.length]?.number ?? 0;
  }
  return scalar(field.scalar, tape);
}

function scalar(type: ScalarType, tape: Tape): unknown {
  const number = tape.next();
  switch (type) {
    case ScalarType.STRING:
      return strings[number % strings.length];
    case ScalarType.BYTES:
      return Uint8Array.of(number & 0xff, 0, 255).subarray(0, number % 4);
    case ScalarType.BOOL:
      return number % 2 === 1;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return BigInt(number) << BigInt(number % 20);
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return number / 4;
    default:
      return number;
  }
}
