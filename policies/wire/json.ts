import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';
import { errorText } from '../kit/error-text.ts';
import type { At } from './decoding.ts';
import { withEnumNames } from './json-enums.ts';
import { registry } from './registry.ts';
import { supportedFields } from './supported-fields.ts';

/** A bound on nesting, as decoding of bytes has one. */
const PATH_CHARACTERS_MAX = 2_048;
const ANY = 'google.protobuf.Any';

type JsonRecord = { readonly [key: string]: JsonValue };

/**
 * Reads a message from its JSON form (protobuf JSON mapping: names as in the `.proto` file or in camel case).
 * Every key that the message does not have and every value of a wrong type is an error with its path.
 */
export function messageFromJson<Desc extends DescMessage>(
  desc: Desc,
  given: JsonValue,
  at: At,
): MessageShape<Desc> | undefined {
  const before = at.decoding.errors.length;
  const json = withEnumNames(desc, given);
  checkMessage(desc, json, at);
  if (at.decoding.errors.length > before) return undefined;
  try {
    return fromJson(desc, json, { registry });
  } catch (error) {
    return at.fail(reasonOf(error), undefined);
  }
}

function checkMessage(desc: DescMessage, json: JsonValue, at: At): void {
  if (at.path.length > PATH_CHARACTERS_MAX) {
    at.fail('is nested too deeply', undefined);
  } else if (desc.typeName === ANY) {
    checkAny(json, at);
  } else if (desc.typeName.startsWith('google.protobuf.')) {
    probe(desc, json, at);
  } else if (!isRecord(json)) {
    at.fail(`has to be an object (${desc.name})`, undefined);
  } else {
    checkRecord(desc, json, at);
  }
}

function checkRecord(desc: DescMessage, json: JsonRecord, at: At): void {
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
    if (supportedFields.get(desc.typeName)?.has(field.name) === false) {
      // The default of a plain value, said aloud, changes nothing.
      const plain = field.fieldKind === 'scalar' && field.scalar !== ScalarType.BYTES;
      if (plain && (value === false || value === 0 || value === '')) continue;
      here.fail(`${desc.name}.${field.name} is not supported by Weft`, undefined);
      continue;
    }
    if (field.oneof !== undefined) {
      const other = chosen.get(field.oneof.name);
      if (other !== undefined) here.fail(`excludes "${other}", which is set as well`, undefined);
      chosen.set(field.oneof.name, field.name);
    }
    checkField(desc, field, value, here);
  }
}

function checkField(desc: DescMessage, field: DescField, value: JsonValue, at: At): void {
  if (field.fieldKind === 'list') {
    if (!Array.isArray(value)) {
      at.fail('has to be a list', undefined);
      return;
    }
    for (const [i, item] of value.entries()) {
      if (field.message !== undefined) checkMessage(field.message, item, at.index(i));
      else probe(desc, { [field.name]: [item] }, at.index(i));
    }
  } else if (field.fieldKind === 'map') {
    if (!isRecord(value)) {
      at.fail('has to be an object', undefined);
      return;
    }
    for (const [key, item] of Object.entries(value)) {
      if (field.message !== undefined) checkMessage(field.message, item, at.key(key));
      else probe(desc, { [field.name]: { [key]: item } }, at.key(key));
    }
  } else if (field.fieldKind === 'message') {
    checkMessage(field.message, value, at);
  } else {
    probe(desc, { [field.name]: value }, at);
  }
}

function checkAny(json: JsonValue, at: At): void {
  const type = isRecord(json) ? json['@type'] : undefined;
  if (!isRecord(json) || typeof type !== 'string') {
    at.fail('has to be an object with "@type"', undefined);
    return;
  }
  const desc = registry.getMessage(type.slice(type.lastIndexOf('/') + 1));
  if (desc === undefined) {
    at.fail(`extension "${type}" is not supported by Weft`, undefined);
    return;
  }
  const { '@type': _, ...fields } = json;
  checkMessage(desc, fields, at);
}

/** Lets the library judge one value alone: its own errors do not say where they are. */
function probe(desc: DescMessage, json: JsonValue, at: At): void {
  try {
    fromJson(desc, json, { registry });
  } catch (error) {
    at.fail(reasonOf(error), undefined);
  }
}

const reasonOf = (error: unknown): string => errorText(error).replace(/^cannot decode .*? from JSON: /, '');

const isRecord = (json: JsonValue): json is { [key: string]: JsonValue } =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
