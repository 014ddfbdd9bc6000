import { type Json, type JsonObject, parseJson } from '../json.ts';
import { builtinResources } from '../kinds/builtin.ts';
import { builtinType } from '../schema/builtin.ts';
import wire from '../schema/builtin-wire.json' with { type: 'json' };
import type { SchemaNode } from '../schema/node.ts';
import { badRequest } from '../status.ts';

/**
 * Reads `application/vnd.kubernetes.protobuf`, which kubectl's typed clients send: the magic "k8s\0", a runtime.Unknown envelope and the
 * object (API concepts, "Kubernetes Protobuf encoding"). Answers are always JSON, which such clients accept.
 */
export const protobufMediaType = 'application/vnd.kubernetes.protobuf';

const tables = new Map<string, Readonly<Record<string, string>>>(Object.entries(wire));

/** Kinds that come as the body of a subresource or of DELETE. */
const others: Readonly<Record<string, string | undefined>> = {
  DeleteOptions: 'V1DeleteOptions',
  Scale: 'V1Scale',
  Eviction: 'V1Eviction',
  Binding: 'V1Binding',
  TokenRequest: 'AuthenticationV1TokenRequest',
};

interface RawField {
  readonly number: number;
  readonly value: number | bigint | Buffer;
}

const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

function readVarint(buffer: Buffer, start: number): { value: bigint; next: number } {
  let value = 0n;
  for (let i = start, shift = 0n; i < buffer.length && shift < 70n; i++, shift += 7n) {
    const byte = buffer[i] ?? 0;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: i + 1 };
  }
  throw badRequest('the protobuf body is cut short');
}

function* fieldsOf(buffer: Buffer): Generator<RawField> {
  let offset = 0;
  while (offset < buffer.length) {
    const tag = readVarint(buffer, offset);
    const number = Number(tag.value >> 3n);
    offset = tag.next;
    switch (Number(tag.value & 7n)) {
      case wireTypes.varint: {
        const { value, next } = readVarint(buffer, offset);
        offset = next;
        yield { number, value: BigInt.asIntN(64, value) };
        break;
      }
      case wireTypes.bytes: {
        const { value, next } = readVarint(buffer, offset);
        const end = next + Number(value);
        if (end > buffer.length) throw badRequest('the protobuf body is cut short');
        offset = end;
        yield { number, value: buffer.subarray(next, end) };
        break;
      }
      case wireTypes.fixed64:
        if (offset + 8 > buffer.length) throw badRequest('the protobuf body is cut short');
        yield { number, value: buffer.readDoubleLE(offset) };
        offset += 8;
        break;
      case wireTypes.fixed32:
        if (offset + 4 > buffer.length) throw badRequest('the protobuf body is cut short');
        yield { number, value: buffer.readFloatLE(offset) };
        offset += 4;
        break;
      default:
        throw badRequest('the protobuf body has an unknown wire type');
    }
  }
}

const bytesIn = (value: RawField['value'] | undefined): Buffer => (Buffer.isBuffer(value) ? value : Buffer.alloc(0));

function first(buffer: Buffer, number: number): RawField['value'] | undefined {
  for (const field of fieldsOf(buffer)) if (field.number === number) return field.value;
  return undefined;
}

const text = (buffer: Buffer, number: number): string => bytesIn(first(buffer, number)).toString('utf8');

export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0')
    throw badRequest('the body does not begin as Kubernetes protobuf does');
  const envelope = bytes.subarray(4);
  const typeMeta = bytesIn(first(envelope, 1));
  const apiVersion = text(typeMeta, 1);
  const kind = text(typeMeta, 2);
  const model = modelOf(apiVersion, kind);
  if (model === undefined || !tables.has(model))
    throw badRequest(`no kind "${kind}" is registered for version "${apiVersion}" as protobuf`);
  return { apiVersion, kind, ...decodeMessage(bytesIn(first(envelope, 2)), model, builtinType(model)) };
}

function modelOf(apiVersion: string, kind: string): string | undefined {
  const type = builtinResources.find(
    (item) => item.kind === kind && (item.group === '' ? item.version : `${item.group}/${item.version}`) === apiVersion,
  );
  return type?.schema.typeName ?? others[kind];
}

function decodeMessage(buffer: Buffer, table: string, node: SchemaNode): JsonObject {
  const out: JsonObject = {};
  const names = tables.get(table) ?? {};
  for (const { number, value } of fieldsOf(buffer)) {
    const entry = names[String(number)];
    if (entry === undefined) continue;
    if (entry.startsWith('~')) Object.assign(out, decodeMessage(bytesIn(value), entry.slice(1), node));
    else addField(out, entry, value, node);
  }
  return out;
}

function addField(out: JsonObject, entry: string, value: RawField['value'], node: SchemaNode): void {
  const isQuantity = entry.endsWith('#');
  const isPointer = entry.replace('#', '').endsWith('*');
  const name = entry.replace(/[*#]+$/, '');
  const property = node.properties?.[name];
  if (property === undefined) return;
  if (property.type === 'array' && property.items !== undefined) {
    const item = decodeValue(value, property.items, false);
    const list = out[name];
    if (Array.isArray(list)) list.push(item);
    else out[name] = [item];
    return;
  }
  if (property.additional !== undefined && property.additional !== true && property.typeName === '') {
    const map = out[name];
    const target = typeof map === 'object' && map !== null && !Array.isArray(map) ? map : {};
    out[name] = target;
    addEntry(target, bytesIn(value), property.additional);
    return;
  }
  const decoded = decodeValue(value, property, isQuantity);
  // Go sends every field that is no pointer: a zero there is "not set".
  if (!isPointer && (decoded === '' || decoded === 0 || decoded === false || decoded === null)) return;
  out[name] = decoded;
}

/** A map entry is a message of key 1 and value 2. */
function addEntry(target: JsonObject, entry: Buffer, node: SchemaNode): void {
  const key = text(entry, 1);
  const value = first(entry, 2);
  if (node.type === 'array') {
    // ExtraValue: a list wrapped in a message.
    target[key] = [...fieldsOf(bytesIn(value))].map((field) => bytesIn(field.value).toString('utf8'));
    return;
  }
  target[key] = value === undefined && node.type === 'string' ? '' : decodeValue(value ?? Buffer.alloc(0), node, false);
}

function decodeValue(value: RawField['value'], node: SchemaNode, isQuantity: boolean): Json {
  if (typeof value === 'bigint') return node.type === 'boolean' ? value !== 0n : Number(value);
  if (typeof value === 'number') return value;
  if (isQuantity || node.format === 'quantity') return text(value, 1);
  if (node.format === 'date-time') return timeOf(value);
  if (node.format === 'byte') return value.toString('base64');
  if (node.intOrString) return Number(first(value, 1) ?? 0) === 1 ? text(value, 3) : Number(first(value, 2) ?? 0);
  if (node.typeName !== '') return decodeMessage(value, node.typeName, node);
  if (node.type === 'string') return value.toString('utf8');
  if (node.preserveUnknown) return embedded(value);
  return null;
}

/** Time and MicroTime: seconds 1 and nanoseconds 2; nothing at all is the zero time. */
function timeOf(value: Buffer): Json {
  const seconds = Number(first(value, 1) ?? 0);
  const nanos = Number(first(value, 2) ?? 0);
  if (value.length === 0 || seconds <= 0) return null;
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return nanos === 0 ? `${whole}Z` : `${whole}.${String(Math.floor(nanos / 1000)).padStart(6, '0')}Z`;
}

/** RawExtension, FieldsV1 and JSON values: bytes of JSON in field 1. */
function embedded(value: Buffer): Json {
  try {
    return parseJson(text(value, 1));
  } catch {
    return null;
  }
}
