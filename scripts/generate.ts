/**
 * Writes everything that follows from the schemas and charts: CRDs, reference pages, rendered manifests.
 * With `--check` nothing is written, and a file that is not as it would be written makes the command fail.
 * `--into <folder>` writes or checks another folder than the repository.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chartFiles } from './generate/charts.ts';
import { crdFiles, definitions } from './generate/crds.ts';
import { envoyFiles } from './generate/envoy.ts';
import { referenceFiles } from './generate/reference.ts';

/** Where nothing but generated files lives (sets of values apart): what is no longer generated goes away. */
const whollyGenerated = ['charts/weft-crds/templates/*', 'docs/reference/*', 'charts/weft/testdata/*.yaml'];

interface Difference {
  /** Files that are missing or other than they should be. */
  readonly stale: readonly (readonly [path: string, text: string])[];
  /** Files that are no longer generated. */
  readonly leftOver: readonly string[];
}

function onDisk(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function compare(generated: ReadonlyMap<string, string>, target: string): Difference {
  return {
    stale: [...generated].filter(([path, text]) => onDisk(join(target, path)) !== text),
    leftOver: globSync(whollyGenerated, { cwd: target }).filter(
      (path) => !generated.has(path) && !path.endsWith('.values.yaml'),
    ),
  };
}

function report({ stale, leftOver }: Difference): boolean {
  for (const [path] of stale) console.error(`${path}: out of date`);
  for (const path of leftOver) console.error(`${path}: no longer generated`);
  const fresh = stale.length + leftOver.length === 0;
  if (!fresh) console.error('run `npm run generate` and commit what it writes');
  return fresh;
}

function write({ stale, leftOver }: Difference, target: string): void {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(target, path)), { recursive: true });
    writeFileSync(join(target, path), text);
    console.log(`wrote ${path}`);
  }
  for (const path of leftOver) {
    rmSync(join(target, path));
    console.log(`removed ${path}`);
  }
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, into: { type: 'string' } } });
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const target = values.into === undefined ? root : resolve(values.into);
const generated = new Map([
  ...crdFiles(),
  ...referenceFiles(definitions),
  ...envoyFiles(),
  ...(await chartFiles(root)),
]);
const difference = compare(generated, target);

if (values.check) {
  if (report(difference)) console.log(`${generated.size} generated files are up to date`);
  else process.exitCode = 1;
} else {
  write(difference, target);
}
