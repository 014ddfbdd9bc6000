import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../json.ts';
import { builtinType } from './builtin.ts';
import { compileRule, escapeName, validateRules } from './cel.ts';
import { normalizeHas } from './cel-has.ts';
import { applyDefaults } from './defaults.ts';
import { validateSchema } from './definition.ts';
import { readSchema } from './node.ts';
import { pruneRoot } from './prune.ts';
import { validateRoot } from './validate.ts';

const messages = (schema: JsonObject, value: JsonObject): string[] =>
  validateRoot(value, readSchema(schema)).map((cause) => `${cause.field}: ${cause.message}`);
const spec = (schema: JsonObject): JsonObject => ({ type: 'object', properties: { spec: schema } });

describe('pruning', () => {
  const schema = readSchema(
    spec({
      type: 'object',
      properties: {
        a: { type: 'string' },
        free: {
          type: 'object',
          'x-kubernetes-preserve-unknown-fields': true,
          properties: { in: { type: 'object', properties: {} } },
        },
        list: { type: 'array', items: { type: 'object', properties: { k: { type: 'string' } } } },
        map: { type: 'object', additionalProperties: { type: 'object', properties: { v: { type: 'integer' } } } },
      },
    }),
  );
  test('unknown fields go and are named, but not where they are preserved', () => {
    const value: JsonObject = {
      apiVersion: 'x',
      kind: 'y',
      metadata: {},
      top: 1,
      spec: { a: '1', b: 1, free: { z: 1, in: { y: 1 } }, list: [{ k: 'x', l: 1 }], map: { m: { v: 1, w: 2 } } },
    };
    assert.deepEqual(pruneRoot(value, schema, { dropNulls: false }), [
      'top',
      'spec.b',
      'spec.free.in.y',
      'spec.list[0].l',
      'spec.map.m.w',
    ]);
    assert.deepEqual(value, {
      apiVersion: 'x',
      kind: 'y',
      metadata: {},
      spec: { a: '1', free: { z: 1, in: {} }, list: [{ k: 'x' }], map: { m: { v: 1 } } },
    });
  });
  test('twice is once', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'free', 'list'), fc.jsonValue({ maxDepth: 3 })), (given) => {
        const value: JsonObject = { spec: JSON.parse(JSON.stringify(given)) };
        pruneRoot(value, schema, { dropNulls: false });
        assert.deepEqual(pruneRoot(value, schema, { dropNulls: false }), []);
      }),
    );
  });
});

test('defaults fill what is missing, inside defaults too, and take the place of forbidden nulls', () => {
  const schema = readSchema({
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        default: {},
        properties: {
          n: { type: 'integer', default: 3 },
          keep: { type: 'string', nullable: true, default: 'x' },
          not: { type: 'string', default: 'y' },
        },
      },
    },
  });
  const value: JsonObject = {};
  applyDefaults(value, schema);
  assert.deepEqual(value, { spec: { n: 3, keep: 'x', not: 'y' } });
  const nulls: JsonObject = { spec: { keep: null, not: null } };
  applyDefaults(nulls, schema);
  assert.deepEqual(nulls, { spec: { n: 3, keep: null, not: 'y' } });
});

describe('validation', () => {
  const cases: readonly [string, JsonObject, JsonObject, string | undefined][] = [
    [
      'type',
      { type: 'integer' },
      { spec: 'x' },
      'spec: Invalid value: "string": spec in body must be of type integer: "string"',
    ],
    [
      'enum',
      { type: 'string', enum: ['a', 'b'] },
      { spec: 'c' },
      'spec: Unsupported value: "c": supported values: "a", "b"',
    ],
    [
      'pattern',
      { type: 'string', pattern: '^a+$' },
      { spec: 'b' },
      `spec: Invalid value: "b": spec in body should match '^a+$'`,
    ],
    [
      'minimum',
      { type: 'integer', minimum: 1 },
      { spec: 0 },
      'spec: Invalid value: 0: spec in body should be greater than or equal to 1',
    ],
    ['maxLength', { type: 'string', maxLength: 2 }, { spec: 'abc' }, 'spec: Too long: may not be more than 2 bytes'],
    [
      'maxItems',
      { type: 'array', maxItems: 1, items: { type: 'integer' } },
      { spec: [1, 2] },
      'spec: Too many: 2: must have at most 1 items',
    ],
    ['required', { type: 'object', required: ['a'] }, { spec: {} }, 'spec.a: Required value'],
    [
      'int-or-string',
      { 'x-kubernetes-int-or-string': true },
      { spec: 1.5 },
      'spec: Invalid value: "number": spec in body must be of type integer,string: "number"',
    ],
    [
      'set',
      { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
      { spec: ['a', 'a'] },
      'spec[1]: Duplicate value: "a"',
    ],
    [
      'format',
      { type: 'string', format: 'date-time' },
      { spec: 'tomorrow' },
      'spec: Invalid value: "tomorrow": spec in body must be of type date-time: "tomorrow"',
    ],
    ['a number is an integer when whole', { type: 'integer' }, { spec: 2 }, undefined],
    ['nullable', { type: 'string', nullable: true }, { spec: null }, undefined],
  ];
  for (const [name, schema, value, want] of cases) {
    test(name, () => assert.deepEqual(messages(spec(schema), value), want === undefined ? [] : [want]));
  }
  test('oneOf', () => {
    const schema = spec({
      type: 'object',
      properties: { a: { type: 'string' }, b: { type: 'string' } },
      oneOf: [{ required: ['a'] }, { required: ['b'] }],
    });
    assert.deepEqual(messages(schema, { spec: { a: 'x' } }), []);
    assert.match(
      messages(schema, { spec: { a: 'x', b: 'y' } })[0] ?? '',
      /must validate one and only one schema \(oneOf\). Found 2 valid/,
    );
  });
  test('built-in types know their fields', () => {
    const pod: JsonObject = { spec: { containers: [{ name: 'a', imagee: 'x' }] } };
    assert.deepEqual(pruneRoot(pod, builtinType('V1Pod'), { dropNulls: true }), ['spec.containers[0].imagee']);
    assert.equal(validateRoot({ spec: { containers: 'x' } }, builtinType('V1Pod'))[0]?.reason, 'FieldValueTypeInvalid');
  });
});

describe('CEL rules', () => {
  const rule = (text: string, extra: JsonObject = {}): JsonObject => ({ rule: text, message: 'no', ...extra });
  const outcome = (schema: JsonObject, value: JsonObject, old?: JsonObject): string[] =>
    validateRules(value, old, readSchema(schema)).map((cause) => `${cause.field}: ${cause.message}`);
  const object = (rules: JsonObject[], properties: JsonObject): JsonObject =>
    spec({ type: 'object', 'x-kubernetes-validations': rules, properties });
  const fields = {
    n: { type: 'integer' },
    s: { type: 'string' },
    list: { type: 'array', items: { type: 'object', properties: { k: { type: 'string' } } } },
  };

  for (const [text, value, holds] of [
    ['self.n > 3', { n: 4 }, true],
    ['self.n > 3', { n: 3 }, false],
    ['!has(self.s) || self.s.matches("^a+$")', { s: 'aa' }, true],
    ['!has(self.s) || self.s.matches("^a+$")', {}, true],
    ['self.list.all(x, x.k.startsWith("a"))', { list: [{ k: 'ab' }, { k: 'b' }] }, false],
    ['self.list.exists_one(x, x.k == "a")', { list: [{ k: 'a' }, { k: 'b' }] }, true],
    ['self.list.filter(x, x.k == "a").size() == 1', { list: [{ k: 'a' }] }, true],
    ['self.list.map(x, x.k) == ["a"]', { list: [{ k: 'a' }] }, true],
    ['has(self.list[0].k)', { list: [{}] }, false],
    ['size(self.list) > 0 && has(self.list[0].k)', { list: [{ k: '' }] }, true],
    ['isURL(self.s) && url(self.s).getScheme() == "https"', { s: 'https://a.b' }, true],
    ['"%s-%d".format([self.s, self.n]) == "a-1"', { s: 'a', n: 1 }, true],
    ['self.?s.orValue("none") == "none"', {}, true],
    ['self.n in [1, 2]', { n: 2 }, true],
  ] as const) {
    test(`${text} on ${JSON.stringify(value)}`, () => {
      const schema = object([rule(text)], fields);
      assert.deepEqual(
        outcome(schema, { spec: JSON.parse(JSON.stringify(value)) }),
        holds ? [] : ['spec: Invalid value: "object": no'],
      );
    });
  }
  test('transition rules need an old value', () => {
    const schema = object([rule('self.n >= oldSelf.n')], fields);
    assert.deepEqual(outcome(schema, { spec: { n: 1 } }), []);
    assert.deepEqual(outcome(schema, { spec: { n: 1 } }, { spec: { n: 2 } }), ['spec: Invalid value: "object": no']);
  });
  test('message, messageExpression, reason and fieldPath', () => {
    const schema = object(
      [
        rule('self.n < 3', {
          messageExpression: '"n is " + string(self.n)',
          reason: 'FieldValueForbidden',
          fieldPath: '.n',
        }),
      ],
      fields,
    );
    assert.deepEqual(outcome(schema, { spec: { n: 5 } }), ['spec.n: Forbidden: n is 5']);
  });
  test('items of map lists are matched by key', () => {
    const items = {
      type: 'object',
      properties: { k: { type: 'string' }, v: { type: 'integer' } },
      'x-kubernetes-validations': [rule('self.v >= oldSelf.v')],
    };
    const schema = spec({ type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items });
    const old = {
      spec: [
        { k: 'a', v: 5 },
        { k: 'b', v: 1 },
      ],
    };
    assert.deepEqual(
      outcome(
        schema,
        {
          spec: [
            { k: 'b', v: 2 },
            { k: 'a', v: 4 },
          ],
        },
        old,
      ),
      ['spec[1]: Invalid value: "object": no'],
    );
  });
  test('what does not compile is told', () => {
    const node = readSchema({ type: 'object', properties: fields });
    const problem = (text: string) =>
      compileRule(
        { rule: text, message: '', messageExpression: '', reason: '', fieldPath: '', optionalOldSelf: false },
        node,
        false,
      );
    assert.match(problem('self.m > 1') ?? '', /undefined field 'm'/);
    assert.match(problem('self.list.all(x, x.z == "")') ?? '', /undefined field 'z'/);
    assert.match(problem('self.n >') ?? '', /./);
    assert.match(problem('nothing(self)') ?? '', /./);
    assert.match(problem('self.n + 1') ?? '', /must evaluate to a bool/);
    assert.equal(problem('self.n > 1'), undefined);
  });
  test('has() on more than names', () => {
    assert.equal(normalizeHas('has(self.a)'), 'has(self.a)');
    assert.equal(normalizeHas('"has(x[0].y)" == s'), '"has(x[0].y)" == s');
    assert.equal(normalizeHas('!has(self[0].a.b)'), '!cel.bind(selectedForHas, self[0].a, has(selectedForHas.b))');
    assert.equal(normalizeHas('this.has(self[0].a)'), 'this.has(self[0].a)');
  });
  test('escaped names', () => {
    assert.equal(escapeName('a-b.c/d'), 'a__dash__b__dot__c__slash__d');
    assert.equal(escapeName('namespace'), '__namespace__');
  });
});

describe('schemas of definitions', () => {
  const problems = (schema: JsonObject): string[] =>
    validateSchema(schema, 's').map((cause) => `${cause.field}: ${cause.message}`);
  test('structural', () => {
    assert.deepEqual(problems({ type: 'object', properties: { a: { type: 'string' } } }), []);
    assert.match(
      problems({ type: 'object', properties: { a: {} } })[0] ?? '',
      /s.properties\[a\].type: Required value/,
    );
    assert.match(problems({ type: 'object', properties: { a: { type: 'array' } } })[0] ?? '', /items: Required value/);
    assert.match(
      problems({ type: 'object', properties: { a: { type: 'string', pattern: '(' } } })[0] ?? '',
      /pattern: Invalid value/,
    );
    assert.match(
      problems({
        type: 'object',
        properties: { a: { type: 'object', properties: {}, additionalProperties: true } },
      })[0] ?? '',
      /Forbidden/,
    );
  });
  test('a rule that does not compile is named', () => {
    const got = problems({
      type: 'object',
      'x-kubernetes-validations': [{ rule: 'self.spec.x == 1' }],
      properties: { spec: { type: 'object', properties: { y: { type: 'integer' } } } },
    });
    assert.match(got[0] ?? '', /x-kubernetes-validations\[0\].rule: .*undefined field 'x' in rule "self.spec.x == 1"/);
  });
});
