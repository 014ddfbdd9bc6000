import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';
import { linearEngineIsEnabled } from '@weft/policies/kit/linear-regex';

/**
 * What V8 has compiled of a bundle, beside it: `scripts/code-cache.ts` makes it for the images. V8 takes it with the flags
 * alone that it was made with, and the first regular expression of a configuration changes them.
 */
export const codeCacheOf = (bundle: string): string => `${bundle}${linearEngineIsEnabled() ? '.linear' : ''}.cache`;

type Exports = ReturnType<NodeJS.Require>;

/** Runs a CommonJS bundle that nothing but the caller holds, not even the cache of modules. */
export function runBundle(path: string, cachedData: Buffer | undefined): { exports: Exports; script: Script } {
  // As Node wraps a CommonJS module (https://nodejs.org/api/modules.html#the-module-wrapper).
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(path, 'utf8')}\n})`;
  const script = new Script(source, { filename: path, ...(cachedData === undefined ? {} : { cachedData }) });
  const module = { exports: {} };
  // Few bundles ask for another, and those later.
  let require: NodeJS.Require | undefined;
  const requireLate = (id: string): Exports => {
    require ??= createRequire(path);
    return require(id);
  };
  script.runInThisContext()(module.exports, requireLate, module, path, dirname(path));
  return { exports: module.exports, script };
}

/** Runs a bundle, compiled ahead where there is a code cache that this V8 takes. */
export const runAhead = (path: string): Exports => runBundle(path, readCodeCache(path)).exports;

/**
 * A module that is needed now and then, and is let go with what the caller holds of it: a bundle, or a source, of which,
 * as an ES module, all stays.
 */
export const loadTransient = (path: string): Exports =>
  path.endsWith('.ts') ? createRequire(path)(path) : runAhead(path);

/** It only saves time: without it, or the right to read it, all is compiled anew. */
function readCodeCache(bundle: string): Buffer | undefined {
  try {
    return readFileSync(codeCacheOf(bundle));
  } catch {
    return undefined;
  }
}
