/** docs/threat-model.md names a test for each threat; here, that each of them exists, and that no threat is without. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'threat-model.md'), 'utf8');

/** `path/to/x.test.ts` "title", as the page writes it. */
const NAMED = /`([\w./-]+\.ts)` "([^"]+)"/g;

interface Named {
  readonly file: string;
  readonly title: string;
}

const namedIn = (text: string): readonly Named[] =>
  [...text.matchAll(NAMED)].map(([, file = '', title = '']) => ({ file, title }));

/** Whether the file has a test or a group of that title; a title that is made of a table's rows is named by the row. */
function hasTitle(source: string, title: string): boolean {
  const quoted = (text: string): boolean => ["'", '"', '`'].some((quote) => source.includes(`${quote}${text}${quote}`));
  return quoted(title) || quoted(title.replaceAll("'", "\\'"));
}

/** Rows of the tables of threats: those whose first cell is a number with a letter. */
const rows = page.split('\n').filter((line) => /^\| [A-Z]\d+ \|/.test(line));

describe('the threat model', () => {
  test('has its rows, each with a number of its own', () => {
    const numbers = rows.map((row) => row.split('|')[1]);
    assert.ok(rows.length >= 40, String(rows.length));
    assert.equal(new Set(numbers).size, rows.length);
  });

  test('names at least one test for every threat', () => {
    assert.deepEqual(
      rows.filter((row) => namedIn(row).length === 0).map((row) => row.slice(0, 80)),
      [],
    );
  });

  test('names only tests that exist', () => {
    const missing = namedIn(page).filter(({ file, title }) => {
      const path = join(root, file);
      return !existsSync(path) || !hasTitle(readFileSync(path, 'utf8'), title);
    });
    assert.deepEqual(missing, []);
  });
});

test('a title that is not there is found out', () => {
  assert.deepEqual(namedIn('x `a/b.test.ts` "no such"'), [{ file: 'a/b.test.ts', title: 'no such' }]);
  assert.equal(hasTitle("test('such', () => {", 'no such'), false);
  assert.equal(hasTitle("test('such', () => {", 'such'), true);
});
