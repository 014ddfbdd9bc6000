/** What tests of HPACK share. */
import { ByteWriter } from './byte-writer.ts';
import type { FieldSink, HpackDecoder, HpackError } from './decoder.ts';
import type { HpackEncoder } from './encoder.ts';
import type { Field } from './field.ts';

export type NameAndValue = readonly [name: string, value: string];

export const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

export class Collected implements FieldSink {
  readonly fields: Field[] = [];

  field(field: Field): void {
    this.fields.push(field);
  }

  get namesAndValues(): NameAndValue[] {
    return this.fields.map(({ name, value }) => [name, value]);
  }
}

/** What a block decodes to; throws when it has an error. */
export function decodeAll(decoder: HpackDecoder, block: Buffer): readonly Field[] {
  const sink = new Collected();
  const error = decoder.decode(block, 0, block.length, sink);
  if (error !== undefined) throw new Error(`${error.kind}: ${error.detail}`);
  return sink.fields;
}

/** The error of a block that must have one. */
export function errorOf(decoder: HpackDecoder, block: Buffer): HpackError {
  const error = decoder.decode(block, 0, block.length, new Collected());
  if (error === undefined) throw new Error(`${block.toString('hex')} has no error`);
  return error;
}

/** One block of those fields. */
export function encodeAll(encoder: HpackEncoder, fields: Iterable<NameAndValue>): Buffer {
  const out = new ByteWriter(16);
  encoder.begin(out);
  for (const [name, value] of fields) encoder.field(name, name.toLowerCase(), value, out);
  return Buffer.from(out.written());
}
