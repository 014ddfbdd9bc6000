import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { codeCacheOf, loadTransient, runBundle } from './transient.ts';

describe('modules that are let go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-transient-'));
  const bundle = join(folder, 'bundle.cjs');
  writeFileSync(
    bundle,
    "exports.join = (a, b) => require('node:path').join(a, b, __dirname === undefined ? '' : 'c');\n",
  );
  after(() => rmSync(folder, { recursive: true }));

  test('a bundle runs as a CommonJS module, and no cache of modules holds it', () => {
    const loaded: { join(a: string, b: string): string } = loadTransient(bundle);
    assert.equal(loaded.join('a', 'b'), 'a/b/c');
    assert.equal(createRequire(import.meta.url).cache[bundle], undefined);
    assert.notEqual(loadTransient(bundle), loaded);
  });

  test('it runs without what was compiled where that is of something else', () => {
    const { exports, script } = runBundle(bundle, undefined);
    exports.join('a', 'b');
    const cache = script.createCachedData();
    for (const [i, other] of [cache, cache.subarray(0, 100), Buffer.alloc(0), Buffer.from('no code')].entries()) {
      // V8 itself knows a text that it has compiled, and asks for no cache.
      const another = join(folder, `another-${i}.cjs`);
      writeFileSync(another, `exports.i = ${i};`);
      const again = runBundle(another, other);
      assert.equal(again.script.cachedDataRejected, true);
      assert.equal(again.exports.i, i);
      writeFileSync(codeCacheOf(another), other);
      assert.equal(loadTransient(another).i, i);
    }
  });

  test('what was compiled ahead is looked for by the flags that V8 has by then', () => {
    // Another process: of this one nobody knows whether a pattern was compiled before.
    const source = `
      const { codeCacheOf } = await import('${new URL('transient.ts', import.meta.url)}');
      const { compileLinearRegex } = await import('@weft/policies/kit/linear-regex');
      const { basename } = await import('node:path');
      const before = codeCacheOf(process.argv[1]);
      compileLinearRegex('a');
      console.log(basename(before), basename(codeCacheOf(process.argv[1])));`;
    const args = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--input-type=module', '-e', source];
    const said = execFileSync(process.execPath, [...args, bundle], { cwd: import.meta.dirname, encoding: 'utf8' });
    assert.equal(said.trim(), 'bundle.cjs.cache bundle.cjs.linear.cache');
  });

  test('it runs without what was compiled where that cannot be read', () => {
    const lone = join(folder, 'lone.cjs');
    writeFileSync(lone, 'exports.i = 7;');
    mkdirSync(codeCacheOf(lone));
    assert.equal(loadTransient(lone).i, 7);
  });
});
