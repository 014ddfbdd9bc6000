/** kubectl and helm are found or fetched, and archives are read without tar and unzip. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { tarEntry, zipEntries } from '../support/archive.ts';
import { findTool } from '../support/tools.ts';

const timeoutMs = 240_000;

function run(command: string, args: readonly string[], cwd?: string): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: timeoutMs, cwd });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('kubectl and helm run', async () => {
  assert.match(run(await findTool('kubectl'), ['version', '--client']), /v1\.\d+/);
  assert.match(run(await findTool('helm'), ['version', '--short']), /^v[34]\./);
});

describe('archives', () => {
  let folder = '';
  const long = 'weft '.repeat(10_000);
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-archive-'));
    writeFileSync(join(folder, 'a.txt'), long);
    writeFileSync(join(folder, 'b.txt'), 'second');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('a member of a tar', () => {
    run('tar', ['--format=ustar', '-czf', 'x.tgz', 'a.txt', 'b.txt'], folder);
    const tarball = readFileSync(join(folder, 'x.tgz'));
    assert.equal(tarEntry(tarball, 'b.txt').toString(), 'second');
    assert.equal(tarEntry(tarball, 'a.txt').toString(), long);
    assert.throws(() => tarEntry(tarball, 'c.txt'), /no c\.txt/);
  });

  test('members of a zip, compressed and stored', () => {
    const script = [
      'import zipfile',
      'with zipfile.ZipFile("x.zip", "w") as z:',
      '  z.write("a.txt", compress_type=zipfile.ZIP_DEFLATED)',
      '  z.write("b.txt", compress_type=zipfile.ZIP_STORED)',
    ].join('\n');
    run('python3', ['-c', script], folder);
    const members = new Map(zipEntries(readFileSync(join(folder, 'x.zip')), () => true));
    assert.equal(members.get('a.txt')?.toString(), long);
    assert.equal(members.get('b.txt')?.toString(), 'second');
    assert.throws(() => [...zipEntries(Buffer.alloc(100), () => true)], /not a zip/);
  });
});
