/** Generated files are those that the schemas and charts give, and the check that says so can fail. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const timeoutMs = 240_000;

function generate(...args: string[]): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts', 'generate.ts'), ...args], {
    cwd: root,
    encoding: 'utf8',
    timeout: timeoutMs,
  });
  return { status, output: stdout + stderr };
}

test('the repository has what would be generated', () => {
  const { status, output } = generate('--check');
  assert.equal(status, 0, output);
});

describe('the check', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-generate-'));
    assert.equal(generate('--into', folder).status, 0);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('passes on what was just written, and writing again changes nothing', () => {
    assert.equal(generate('--check', '--into', folder).status, 0);
    assert.equal(generate('--into', folder).output, '');
  });

  test('finds a file that was edited, one that is missing and one too many', () => {
    appendFileSync(join(folder, 'charts/weft-crds/templates/meshes.yaml'), '# edited\n');
    rmSync(join(folder, 'docs/reference/mesh.md'));
    writeFileSync(join(folder, 'charts/weft-crds/templates/olds.yaml'), 'kind: Old\n');
    const { status, output } = generate('--check', '--into', folder);
    assert.equal(status, 1);
    assert.match(output, /templates\/meshes\.yaml: out of date/);
    assert.match(output, /reference\/mesh\.md: out of date/);
    assert.match(output, /templates\/olds\.yaml: no longer generated/);

    assert.equal(generate('--into', folder).status, 0);
    assert.equal(generate('--check', '--into', folder).status, 0);
  });

  test('reference pages name every field of the spec with its default', () => {
    const page = readFileSync(join(root, 'docs/reference/trafficpolicy.md'), 'utf8');
    assert.match(page, /\| `spec\.retries\.attempts` \| integer \| `2` \| 0 to 10 \|/);
    assert.match(page, /\| `spec\.targetRefs` \| list of objects \| required \| 1 to 16 entries \|/);
    assert.match(page, /backendRequest must not be longer than request/);
  });
});
