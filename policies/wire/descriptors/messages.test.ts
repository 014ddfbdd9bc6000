import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type DescMessage, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { reflect } from '@bufbuild/protobuf/reflect';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { type Any, anyPack, anyUnpack } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import type { ResourceKind, ResourceMap } from '../../model/snapshot.ts';
import { arbitraryResources } from '../arbitrary-resources.testing.ts';
import { checkFields } from '../check-fields.ts';
import { Decoding } from '../decoding.ts';
import { encodeResource } from '../resource.ts';
import { resourceKinds } from '../type-urls.ts';
import { messageOf, Tape } from './arbitrary-messages.testing.ts';
import { byLibrary, byUs, generated } from './generated.testing.ts';

function library({ typeName }: DescMessage): DescMessage {
  const message = byLibrary.getMessage(typeName);
  assert.ok(message !== undefined, typeName);
  return message;
}

const FIELD_NUMBER_UNKNOWN = 9_999;
const numbers = fc.array(fc.nat(2 ** 31 - 1), { minLength: 30, maxLength: 200, size: 'max' });
const types = generated.flatMap(({ file }) => [...file.allMessages]);

/** A result, or what was thrown instead. */
function outcome(run: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    return String(error);
  }
}

function assertSame(ours: DescMessage, bytes: Uint8Array): void {
  const theirs = library(ours);
  const message = fromBinary(ours, bytes);
  const measure = fromBinary(theirs, bytes);
  assert.deepEqual(message, measure);
  assert.deepEqual(toBinary(ours, message), toBinary(theirs, measure));
  for (const useProtoFieldName of [true, false]) {
    const json = toJson(theirs, measure, { registry: byLibrary, useProtoFieldName });
    assert.deepEqual(toJson(ours, message, { registry: byUs, useProtoFieldName }), json);
    assert.deepEqual(
      fromJson(ours, json, { registry: byUs }),
      fromJson(theirs, json, { registry: byLibrary }),
      ours.typeName,
    );
  }
}

/** What the walk over a message finds that Weft does not act on. */
function walk(type: DescMessage, { value }: Any): Decoding {
  const decoding = new Decoding();
  checkFields(reflect(type, fromBinary(type, value)), decoding.at(''));
  return decoding;
}

describe('messages are the same as with the library’s descriptors', () => {
  test('any message of every type: made, written, read, and shown as JSON', () => {
    for (const type of types) {
      fc.assert(
        fc.property(numbers, (tape) => {
          const made = messageOf(type, new Tape(tape));
          assert.deepEqual(made, messageOf(library(type), new Tape(tape)));
          assertSame(type, toBinary(type, made));
        }),
        { numRuns: 8 },
      );
    }
  });

  test('every resource of the model', () => {
    for (const kind of resourceKinds) {
      fc.assert(
        fc.property<[ResourceMap[ResourceKind]]>(arbitraryResources[kind], (value) => {
          const { typeUrl, bytes } = encodeResource(kind, 'name', value);
          const type = byUs.getMessage(typeUrl.slice(typeUrl.lastIndexOf('/') + 1));
          assert.ok(type !== undefined);
          assertSame(type, bytes);
        }),
        { numRuns: 20 },
      );
    }
  });

  test('any bytes: read as the same message, with the same unknown fields, or refused in the same words', () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 60 }), (type, bytes) => {
        const ours = outcome(() => fromBinary(type, bytes));
        assert.deepEqual(
          ours,
          outcome(() => fromBinary(library(type), bytes)),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  test('packed in an Any, and what is not known beside it', () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), numbers, (type, tape) => {
        const unknown = new BinaryWriter().tag(FIELD_NUMBER_UNKNOWN, WireType.Varint).uint32(1).finish();
        const bytes = Buffer.concat([toBinary(type, messageOf(type, new Tape(tape))), unknown]);
        const any = anyPack(type, fromBinary(type, bytes));
        assert.deepEqual(any, anyPack(library(type), fromBinary(library(type), bytes)));
        const inside = anyUnpack(any, byUs);
        assert.deepEqual(inside, anyUnpack(any, byLibrary));
        assert.equal(inside?.$unknown?.length, 1);
        assert.deepEqual(walk(type, any), walk(library(type), any));
      }),
      { numRuns: 500 },
    );
  });
});
