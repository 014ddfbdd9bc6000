/**
 * Writes everything that follows from the schemas and charts: CRDs, reference pages, rendered manifests.
 * With `--check` nothing is written, and a file that is not as it would be written makes the command fail.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chartFiles } from './generate/charts.ts';
import { crdFiles, definitions } from './generate/crds.ts';
import { referenceFiles } from './generate/reference.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Folders in which nothing but generated files lives: what is no longer generated goes away. */
const whollyGenerated = ['charts/weft-crds/templates/*', 'docs/reference/*', 'charts/weft/testdata/*.yaml'];

function onDisk(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}

const generated = new Map([...crdFiles(), ...referenceFiles(definitions), ...(await chartFiles(root))]);
const leftOver = globSync(whollyGenerated, { cwd: root }).filter(
  (path) => !generated.has(path) && !path.endsWith('.values.yaml'),
);
const stale = [...generated].filter(([path, text]) => onDisk(path) !== text);

if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path}: out of date`);
  for (const path of leftOver) console.error(`${path}: no longer generated`);
  if (stale.length + leftOver.length > 0) {
    console.error('run `npm run generate` and commit what it writes');
    process.exitCode = 1;
  } else {
    console.log(`${generated.size} generated files are up to date`);
  }
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
    console.log(`wrote ${path}`);
  }
  for (const path of leftOver) {
    rmSync(join(root, path));
    console.log(`removed ${path}`);
  }
}
