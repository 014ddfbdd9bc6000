/** Everything that can be said about the tree without running it: types, lint, boundaries, generated files. */
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

const steps: readonly (readonly [string, string, readonly string[]])[] = [
  ['types', bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']],
  ['format and lint', bin('biome'), ['check', '--error-on-warnings', '.']],
  ['boundaries', process.execPath, [join(root, 'scripts', 'boundaries.ts')]],
  ['licences', process.execPath, [join(root, 'scripts', 'licences.ts')]],
  ['generated files', process.execPath, [join(root, 'scripts', 'generate.ts'), '--check']],
];

let failed = 0;
for (const [name, command, args] of steps) {
  const startedMs = performance.now();
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  const ok = status === 0;
  if (!ok) failed++;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${name} (${((performance.now() - startedMs) / 1_000).toFixed(1)} s)`);
}
process.exitCode = failed === 0 ? 0 : 1;
