import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clone, equal, isObject, type Json, type JsonObject } from '../json.ts';
import { builtinType } from '../schema/builtin.ts';
import { difference, fieldsOf, intersection, isEmpty, pathsOf, readFieldsV1, toFieldsV1, union } from './field-set.ts';
import { applyJsonPatch, applyMergePatch } from './json-patch.ts';
import { applyStrategicPatch } from './strategic.ts';

const json = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), tie('value'), { maxKeys: 3 }),
  ),
})).value;
const object = fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), json, { maxKeys: 4 });

/** A merge patch that makes `to` of `from` (RFC 7386: null removes). */
function mergeDiff(from: JsonObject, to: JsonObject): JsonObject {
  const patch: JsonObject = {};
  for (const key of Object.keys(from)) if (to[key] === undefined) patch[key] = null;
  for (const [key, value] of Object.entries(to)) {
    const old = from[key];
    if (isObject(value) && isObject(old)) patch[key] = mergeDiff(old, value);
    else if (value !== undefined) patch[key] = value;
  }
  return patch;
}

describe('JSON patch (RFC 6902)', () => {
  const cases: readonly { name: string; doc: JsonObject; patch: Json; want?: JsonObject; error?: RegExp }[] = [
    {
      name: 'A.1 add a member',
      doc: { foo: 'bar' },
      patch: [{ op: 'add', path: '/baz', value: 'qux' }],
      want: { foo: 'bar', baz: 'qux' },
    },
    {
      name: 'A.2 add to an array',
      doc: { foo: ['a', 'b'] },
      patch: [{ op: 'add', path: '/foo/1', value: 'x' }],
      want: { foo: ['a', 'x', 'b'] },
    },
    {
      name: 'A.4 remove from an array',
      doc: { foo: [1, 2, 3] },
      patch: [{ op: 'remove', path: '/foo/1' }],
      want: { foo: [1, 3] },
    },
    { name: 'A.5 replace', doc: { a: 1 }, patch: [{ op: 'replace', path: '/a', value: null }], want: { a: null } },
    {
      name: 'A.6 move',
      doc: { a: { b: 1 }, c: {} },
      patch: [{ op: 'move', from: '/a/b', path: '/c/d' }],
      want: { a: {}, c: { d: 1 } },
    },
    {
      name: 'A.9 failing test',
      doc: { a: 'x' },
      patch: [{ op: 'test', path: '/a', value: 'y' }],
      error: /testing value \/a failed/,
    },
    {
      name: 'A.14 escapes',
      doc: { '/': 9, '~1': 10 },
      patch: [{ op: 'test', path: '/~01', value: 10 }],
      want: { '/': 9, '~1': 10 },
    },
    { name: 'A.16 append', doc: { a: [1] }, patch: [{ op: 'add', path: '/a/-', value: [2] }], want: { a: [1, [2]] } },
    { name: 'missing parent', doc: {}, patch: [{ op: 'add', path: '/a/b', value: 1 }], error: /missing path: \/a\/b/ },
    { name: 'replace of nothing', doc: {}, patch: [{ op: 'replace', path: '/a', value: 1 }], error: /missing/ },
    {
      name: 'leading zero is no index',
      doc: { a: [1, 2] },
      patch: [{ op: 'remove', path: '/a/01' }],
      error: /missing path/,
    },
  ];
  for (const { name, doc, patch, want, error } of cases) {
    test(name, () => {
      const before = clone(doc);
      const got = applyJsonPatch(doc, patch);
      if (error === undefined) assert.deepEqual(got, want);
      else assert.match(got instanceof Error ? got.message : '', error);
      assert.deepEqual(doc, before, 'the document itself is untouched');
    });
  }
});

test('a merge patch made of two documents turns one into the other', () => {
  fc.assert(
    fc.property(object, object, (from, to) => {
      assert.ok(equal(applyMergePatch(from, mergeDiff(from, to)), to));
    }),
  );
});

describe('strategic merge patch', () => {
  const pod = builtinType('V1PodSpec');
  const base: JsonObject = {
    containers: [
      { name: 'a', image: 'a:1', env: [{ name: 'X', value: '1' }], ports: [{ containerPort: 80 }] },
      { name: 'b', image: 'b:1' },
    ],
    volumes: [{ name: 'v', emptyDir: {} }],
    tolerations: [{ key: 'x' }],
  };
  test('lists with a merge key merge by it, others are replaced', () => {
    const got = applyStrategicPatch(
      base,
      { containers: [{ name: 'a', image: 'a:2', env: [{ name: 'Y', value: '2' }] }], tolerations: [{ key: 'y' }] },
      pod,
    );
    assert.deepEqual(got['containers'], [
      {
        name: 'a',
        image: 'a:2',
        env: [
          { name: 'X', value: '1' },
          { name: 'Y', value: '2' },
        ],
        ports: [{ containerPort: 80 }],
      },
      { name: 'b', image: 'b:1' },
    ]);
    assert.deepEqual(got['tolerations'], [{ key: 'y' }]);
  });
  test('$patch: delete and replace', () => {
    assert.deepEqual(applyStrategicPatch(base, { containers: [{ $patch: 'delete', name: 'a' }] }, pod)['containers'], [
      { name: 'b', image: 'b:1' },
    ]);
    const replaced = applyStrategicPatch(base, { containers: [{ $patch: 'replace' }, { name: 'c', image: 'c' }] }, pod);
    assert.deepEqual(replaced['containers'], [{ name: 'c', image: 'c' }]);
  });
  test('$setElementOrder orders, $retainKeys keeps only what it names', () => {
    const ordered = applyStrategicPatch(
      base,
      { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [{ name: 'a', image: 'z' }] },
      pod,
    );
    assert.deepEqual(
      (Array.isArray(ordered['containers']) ? ordered['containers'] : []).map((c) => (isObject(c) ? c['name'] : '')),
      ['b', 'a'],
    );
    const changed = applyStrategicPatch(
      base,
      { volumes: [{ name: 'v', $retainKeys: ['name', 'configMap'], configMap: { name: 'm' } }] },
      pod,
    );
    assert.deepEqual(changed['volumes'], [{ name: 'v', configMap: { name: 'm' } }]);
  });
  test('lists of texts: merge and $deleteFromPrimitiveList', () => {
    const meta = builtinType('V1ObjectMeta');
    assert.deepEqual(
      applyStrategicPatch(
        { finalizers: ['a', 'b'] },
        { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] },
        meta,
      ),
      { finalizers: ['b', 'c'] },
    );
  });
  test('null removes', () => {
    assert.deepEqual(applyStrategicPatch({ nodeName: 'x', hostname: 'h' }, { nodeName: null }, pod), { hostname: 'h' });
  });
});

describe('field sets', () => {
  const pod = builtinType('V1PodSpec');
  test('items of map lists are named by their keys', () => {
    const set = fieldsOf({ containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] }, pod);
    assert.deepEqual(pathsOf(set), [
      '.containers[name="a"]',
      '.containers[name="a"].name',
      '.containers[name="a"].ports[containerPort=80,protocol="TCP"]',
      '.containers[name="a"].ports[containerPort=80,protocol="TCP"].containerPort',
    ]);
    assert.deepEqual(toFieldsV1(readFieldsV1(toFieldsV1(set))), toFieldsV1(set));
  });
  test('algebra', () => {
    fc.assert(
      fc.property(object, object, (a, b) => {
        const [x, y] = [fieldsOf(a, pod), fieldsOf(b, pod)];
        assert.ok(isEmpty(difference(x, x)));
        assert.ok(isEmpty(intersection(difference(x, y), y)));
        assert.deepEqual(new Set(pathsOf(union(difference(x, y), intersection(x, y)))), new Set(pathsOf(x)));
      }),
    );
  });
});
