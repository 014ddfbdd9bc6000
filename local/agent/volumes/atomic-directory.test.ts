import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { isSafeRelativePath, writeAtomically } from './atomic-directory.ts';

describe('volume folders', () => {
  const root = mkdtempSync(join(tmpdir(), 'weft-volume-'));
  after(() => rmSync(root, { recursive: true }));
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const file = (path: string, content: string, mode = 0o644) => ({ path, content: Buffer.from(content), mode });

  test('files appear, change, and go; nothing is written when nothing changed', () => {
    const directory = join(root, 'v');
    assert.equal(writeAtomically(directory, [file('a', '1'), file('sub/b', '2', 0o400)], owner), true);
    assert.equal(readFileSync(join(directory, 'a'), 'utf8'), '1');
    assert.equal(readFileSync(join(directory, 'sub/b'), 'utf8'), '2');
    assert.equal(statSync(join(directory, 'sub/b')).mode & 0o777, 0o400);
    assert.equal(writeAtomically(directory, [file('a', '1'), file('sub/b', '2', 0o400)], owner), false);
    assert.equal(writeAtomically(directory, [file('a', '3')], owner), true);
    assert.equal(readFileSync(join(directory, 'a'), 'utf8'), '3');
    assert.deepEqual(
      readdirSync(directory).filter((name) => !name.startsWith('..')),
      ['a'],
    );
    // One version and the link to it: no old ones pile up.
    assert.equal(readdirSync(directory).filter((name) => name.startsWith('..')).length, 2);
  });

  test('paths that leave the volume are not safe', () => {
    for (const path of ['', '/a', '../a', 'a/../../b', '..data', 'a\0b'])
      assert.equal(isSafeRelativePath(path), false, path);
    for (const path of ['a', 'a/b', '.hidden', 'a..b']) assert.equal(isSafeRelativePath(path), true, path);
  });
});
