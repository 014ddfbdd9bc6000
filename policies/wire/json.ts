import {
  create,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { AnySchema, type FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt';
import { errorText } from '../kit/error-text.ts';
import { adviceOnExtension, adviceOnField } from './advice.ts';
import type { At } from './decoding.ts';
import { withEnumNames } from './json-enums.ts';
import { formFailure } from './json-forms.ts';
import { isRecord } from './json-record.ts';
import { registry } from './registry.ts';
import { singleField } from './single-field.ts';
import { supportedFieldsOf } from './supported-fields.ts';

/** As deep as the library goes. */
const DEPTH_MAX = 100;
/** google.protobuf.FeatureSet.FieldPresence */
const IMPLICIT: FeatureSet_FieldPresence = 2;
const ANY = 'google.protobuf.Any';

type JsonRecord = { readonly [key: string]: JsonValue };

/**
 * Reads a message from its JSON form (protobuf JSON mapping: names as in the `.proto` file or in camel case).
 * Every key that the message does not have or Weft does not act on, and every value of a wrong type, is an error with its
 * path. Only what is there is looked at: the library would make ready for all that might be.
 */
export function messageFromJson<Desc extends DescMessage>(
  desc: Desc,
  json: JsonValue,
  at: At,
): MessageShape<Desc> | undefined {
  const before = at.decoding.errors.length;
  const message = create(desc);
  checkText(json, at);
  readMessage(desc, message, json, at, 0);
  return at.decoding.errors.length > before ? undefined : message;
}

/** JSON can write half of a surrogate pair ("\\ud800"), of which UTF-8 has no form: as bytes it would be another text. */
function checkText(json: JsonValue, at: At): void {
  if (typeof json === 'string') {
    if (!json.isWellFormed()) at.fail('holds half of a surrogate pair', undefined);
  } else if (Array.isArray(json)) {
    for (const [i, item] of json.entries()) checkText(item, at.index(i));
  } else if (isRecord(json)) {
    for (const [key, item] of Object.entries(json)) {
      checkText(key, at);
      checkText(item, at.field(key));
    }
  }
}

function readMessage(desc: DescMessage, message: Message, json: JsonValue, at: At, depth: number): void {
  if (depth === DEPTH_MAX) {
    at.fail('is nested too deeply', undefined);
  } else if (!isRecord(json)) {
    at.fail(`has to be an object (${desc.name})`, undefined);
  } else {
    readRecord(desc, message, json, at, depth);
  }
}

function readRecord(desc: DescMessage, message: Message, json: JsonRecord, at: At, depth: number): void {
  const chosen = new Map<string, string>();
  const seen = new Set<string>();
  for (const [key, value] of Object.entries(json)) {
    const field = desc.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    if (field === undefined) {
      at.field(key).fail(`${desc.name} has no field "${key}"`, undefined);
      continue;
    }
    const here = at.field(field.name);
    if (seen.has(field.name)) here.fail('is given twice', undefined);
    seen.add(field.name);
    if (value === null) continue;
    if (supportedFieldsOf(desc.typeName)?.has(field.name) !== true && !isDefault(field, value)) {
      const advice = adviceOnField(desc.name, field.name);
      here.fail(`${desc.name}.${field.name} is not supported by Weft${advice}`, undefined);
      continue;
    }
    if (field.oneof !== undefined) {
      const other = chosen.get(field.oneof.name);
      if (other !== undefined) here.fail(`excludes "${other}", which is set as well`, undefined);
      chosen.set(field.oneof.name, field.name);
    }
    readField(message, field, value, here, depth);
  }
}

/** The default of a plain value, said aloud, changes nothing. */
function isDefault(field: DescField, value: JsonValue): boolean {
  const plain = field.fieldKind === 'scalar' && field.scalar !== ScalarType.BYTES && field.presence === IMPLICIT;
  return plain && (value === false || value === 0 || value === '');
}

function readField(message: Message, field: DescField, value: JsonValue, at: At, depth: number): void {
  if (field.fieldKind === 'list' && !Array.isArray(value)) at.fail('has to be a list', undefined);
  else if (field.fieldKind === 'map' && !isRecord(value)) at.fail('has to be an object', undefined);
  else if (isPlain(field, value)) set(message, field, value);
  else if (field.message === undefined || hasFormOfItsOwn(field.message))
    readValues(message, field, withEnumNames(field, value), at);
  else set(message, field, readMessages(field, field.message, value, at, depth + 1));
}

/** The usual values, which are kept as they are. */
function isPlain(field: DescField, value: JsonValue): boolean {
  if (field.fieldKind !== 'scalar') return false;
  switch (field.scalar) {
    case ScalarType.STRING:
      return typeof value === 'string' && value.isWellFormed();
    case ScalarType.BOOL:
      return typeof value === 'boolean';
    case ScalarType.UINT32:
      return typeof value === 'number' && value >>> 0 === value;
    default:
      return false;
  }
}

/** Those of protobuf itself, which are no objects in JSON, refer to nothing but each other, and have no fields to choose from. */
const hasFormOfItsOwn = ({ typeName }: DescMessage): boolean =>
  typeName.startsWith('google.protobuf.') && typeName !== ANY;

/** Messages of a field that is one, a list of them, or a map to them. */
function readMessages(field: DescField, desc: DescMessage, value: JsonValue, at: At, depth: number): unknown {
  const read = (json: JsonValue, here: At): Message => {
    if (desc.typeName === ANY) return readAny(json, here, depth);
    const message = create(desc);
    readMessage(desc, message, json, here, depth);
    return message;
  };
  if (field.fieldKind === 'list' && Array.isArray(value)) return value.map((item, i) => read(item, at.index(i)));
  if (field.fieldKind !== 'map' || !isRecord(value)) return read(value, at);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, read(item, at.key(key))]));
}

function set(message: Message, field: DescField, value: unknown): void {
  const { oneof, localName } = field;
  Object.assign(
    message,
    oneof === undefined ? { [localName]: value } : { [oneof.localName]: { case: localName, value } },
  );
}

function readAny(json: JsonValue, at: At, depth: number): Message {
  const type = isRecord(json) ? json['@type'] : undefined;
  if (!isRecord(json) || typeof type !== 'string') {
    return at.fail('has to be an object with "@type"', create(AnySchema));
  }
  const desc = registry.getMessage(type.slice(type.lastIndexOf('/') + 1));
  if (desc === undefined) {
    return at.fail(`extension "${type}" is not supported by Weft${adviceOnExtension(type)}`, create(AnySchema));
  }
  const { '@type': _, ...fields } = json;
  const message = create(desc);
  readMessage(desc, message, fields, at, depth);
  return at.decoding.packed(desc, message);
}

/** The library's own reading, of the one field; its errors do not say where in a list or a map they are. */
function readValues(message: Message, field: DescField, value: JsonValue, at: At): void {
  const failure = valuesFailure(field, value, message);
  if (failure === undefined) return;
  const before = at.decoding.errors.length;
  const judge = (one: JsonValue, here: At): void => {
    const reason = valuesFailure(field, one);
    if (reason !== undefined) here.fail(reason, undefined);
  };
  if (field.fieldKind === 'list' && Array.isArray(value)) {
    for (const [i, item] of value.entries()) judge([item], at.index(i));
  } else if (field.fieldKind === 'map' && isRecord(value)) {
    for (const [key, item] of Object.entries(value)) judge({ [key]: item }, at.key(key));
  }
  if (at.decoding.errors.length === before) at.fail(failure, undefined);
}

/** What there is against it, by its form or for the library; when there is nothing, it is set. */
function valuesFailure(field: DescField, value: JsonValue, message?: Message): string | undefined {
  const wrong = formFailure(field, value);
  if (wrong !== undefined) return wrong;
  try {
    const read = fromJson(singleField(field), { [field.name]: value }, { registry });
    if (message !== undefined) Object.assign(message, read);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

const reasonOf = (error: unknown): string => errorText(error).replace(/^cannot decode .*? from JSON: /, '');
