import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../json.ts';
import { StatusError } from '../status.ts';
import {
  fieldText,
  labelSelectorOf,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selectors.ts';
import { Store } from './store.ts';

const object = (name: string, data = ''): JsonObject => ({ metadata: { name, namespace: 'n' }, data });

describe('store', () => {
  let directory = '';
  let store: Store;
  const open = (): Store => new Store({ path: join(directory, 'api.db'), eventsKeptMax: 8 });
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-store-'));
    store = open();
  });
  afterEach(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('every write has a new revision, and a stale one is refused', () => {
    const made = store.create('/x', object('a'));
    assert.ok(made.ok);
    assert.deepEqual(store.create('/x', object('a')), { ok: false, why: 'exists' });
    const changed = store.update('/x', object('a', '1'), made.stored.revision);
    assert.ok(changed.ok && changed.stored.revision > made.stored.revision);
    assert.deepEqual(store.update('/x', object('a', '2'), made.stored.revision), { ok: false, why: 'conflict' });
    assert.deepEqual(store.delete('/x', 'n', 'a', made.stored.revision), { ok: false, why: 'conflict' });
    assert.ok(store.delete('/x', 'n', 'a', undefined).ok);
    assert.deepEqual(store.update('/x', object('a'), undefined), { ok: false, why: 'missing' });
  });

  test('what is written is there after reopening, revisions go on, the past is compacted', () => {
    store.create('/x', object('a', '1'));
    store.create('/x', object('b'));
    store.delete('/x', 'n', 'b', undefined);
    const revision = store.revision;
    store.close();
    store = open();
    assert.equal(store.revision, revision);
    assert.equal(store.get('/x', 'n', 'a')?.object['data'], '1');
    assert.equal(store.get('/x', 'n', 'b'), undefined);
    assert.deepEqual(store.eventsSince('/x', revision), []);
    assert.equal(store.eventsSince('/x', revision - 1), undefined);
  });

  test('a snapshot is the state at its revision, for any history', () => {
    const step = fc.record({ name: fc.constantFrom('a', 'b', 'c'), remove: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const states = [
          { revision: store.revision, names: store.list('/x').map((item) => `${item.name}@${item.revision}`) },
        ];
        for (const { name, remove } of steps) {
          if (remove) store.delete('/x', 'n', name, undefined);
          else if (!store.create('/x', object(name)).ok) store.update('/x', object(name, 'x'), undefined);
          states.push({
            revision: store.revision,
            names: store.list('/x').map((item) => `${item.name}@${item.revision}`),
          });
        }
        for (const { revision, names } of states) {
          assert.deepEqual(
            store.snapshot('/x', revision)?.map((item) => `${item.name}@${item.revision}`),
            names,
          );
        }
      }),
      { numRuns: 30 },
    );
  });

  test('subscribers see events in order, also those that their own writes cause', () => {
    const seen: string[] = [];
    store.subscribe((event) => {
      if (event.type === 'ADDED') store.update('/x', object(event.current.name, 'touched'), undefined);
    });
    store.subscribe((event) => seen.push(`${event.type}@${event.revision}`));
    store.create('/x', object('a'));
    assert.deepEqual(seen, [`ADDED@${store.revision - 1}`, `MODIFIED@${store.revision}`]);
  });
});

describe('selectors', () => {
  const labels = { app: 'web', tier: 'front', n: '5' };
  for (const [text, want] of [
    ['app=web', true],
    ['app==web,tier!=back', true],
    ['app in (web, api),tier notin (back)', true],
    ['app,!missing', true],
    ['!app', false],
    ['missing!=x', true],
    ['missing notin (x)', true],
    ['n>4,n<6', true],
    ['n>5', false],
    ['app=', false],
    ['', true],
  ] as const) {
    test(JSON.stringify(text), () => assert.equal(matchesLabels(parseLabelSelector(text), labels), want));
  }
  for (const text of ['=x', 'a b', 'a in', 'a=b c', 'a=-', '!', 'a in (x', 'a=x/y']) {
    test(`${JSON.stringify(text)} is refused`, () => assert.throws(() => parseLabelSelector(text), StatusError));
  }
  test('any text is parsed or refused, never a crash', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          matchesLabels(parseLabelSelector(text), labels);
        } catch (error) {
          assert.ok(error instanceof StatusError);
        }
      }),
    );
  });
  test('LabelSelector objects', () => {
    const selector = {
      matchLabels: { app: 'web' },
      matchExpressions: [{ key: 'tier', operator: 'In', values: ['front'] }],
    };
    assert.ok(matchesLabels(labelSelectorOf(selector), labels));
    assert.ok(
      !matchesLabels(labelSelectorOf({ matchExpressions: [{ key: 'app', operator: 'DoesNotExist' }] }), labels),
    );
  });
  test('fields', () => {
    const pod = { metadata: { name: 'a' }, spec: { nodeName: 'n1' } };
    assert.ok(matchesFields(parseFieldSelector('metadata.name=a,spec.nodeName!=n2'), pod));
    assert.ok(matchesFields(parseFieldSelector('status.phase='), pod));
    assert.equal(fieldText({ spec: { on: false } }, 'spec.on'), 'false');
    assert.throws(() => parseFieldSelector('nonsense'), StatusError);
  });
});
