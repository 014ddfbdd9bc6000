import assert from 'node:assert/strict';
import type { AnyDesc } from '@bufbuild/protobuf';
import { parentTypes, qualifiedName } from '@bufbuild/protobuf/reflect';
import { WireFile } from './file.ts';

type Members = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null;
const isDesc = (value: Members): value is AnyDesc & Members => 'kind' in value && typeof value['kind'] === 'string';

/** Follows everything that is to be read of a descriptor, with the library's own as the measure. */
export class Comparison {
  /** What stands for which of the library's; also where cycles end. */
  private readonly pairs = new Map<Members, Members>();

  /** How many were compared of a kind. */
  readonly compared: Record<string, number> = {};

  value(ours: unknown, theirs: unknown, path: string): void {
    if (typeof theirs === 'function') this.result(ours, theirs, path);
    else if (Array.isArray(theirs)) this.list(ours, theirs, path);
    else if (isObject(theirs)) this.object(ours, theirs, path);
    else assert.equal(ours, theirs, path);
  }

  private list(ours: unknown, theirs: readonly unknown[], path: string): void {
    assert.ok(Array.isArray(ours), path);
    assert.equal(ours.length, theirs.length, path);
    for (const [i, item] of theirs.entries()) this.value(ours[i], item, `${path}[${i}]`);
  }

  private object(ours: unknown, theirs: Members, path: string): void {
    assert.ok(isObject(ours), path);
    const known = this.pairs.get(theirs);
    if (known !== undefined) {
      assert.equal(ours, known, `${path} is one object and not two`);
      return;
    }
    if (!isDesc(theirs)) {
      assert.deepEqual(Object.keys(ours), Object.keys(theirs), path);
      for (const [key, value] of Object.entries(theirs)) this.value(ours[key], value, `${path}.${key}`);
      return;
    }
    this.pairs.set(theirs, ours);
    this.compared[theirs.kind] = (this.compared[theirs.kind] ?? 0) + 1;
    assert.ok(isDesc(ours), path);
    assert.equal(String(ours), String(theirs));
    assert.equal(qualifiedName(ours), qualifiedName(theirs));
    if (theirs.kind !== 'file') assert.deepEqual(parentTypes(ours).map(String), parentTypes(theirs).map(String));
    for (const key of Object.keys(theirs)) {
      if (key === 'proto') this.proto(ours, theirs, path);
      else this.value(ours[key], theirs[key], `${path}.${key}`);
    }
  }

  private result(ours: unknown, theirs: unknown, path: string): void {
    assert.ok(typeof ours === 'function' && typeof theirs === 'function', path);
    // Of these two kinds alone, neither of which takes anything; `toString` was compared with its object.
    if (path.endsWith('.getDefaultValue')) assert.equal(ours(), theirs(), path);
    else assert.ok(path.endsWith('.toString'), path);
  }

  private proto(ours: AnyDesc, theirs: AnyDesc, path: string): void {
    const file = ours.kind === 'file' ? ours : parentTypes(ours).at(-1);
    // What is imported of the library has one.
    if (!(file instanceof WireFile)) return;
    if (ours.kind !== 'file' || theirs.kind !== 'file') {
      assert.throws(() => ours.proto, /is not kept/, path);
      return;
    }
    for (const key of ['name', 'package', 'syntax', 'edition', 'dependency', 'service', 'extension'] as const) {
      assert.deepEqual(ours.proto[key], theirs.proto[key], `${path}.${key}`);
    }
    assert.throws(() => ours.proto.messageType, /is not kept/);
    assert.throws(() => ours.proto.enumType, /is not kept/);
  }
}
