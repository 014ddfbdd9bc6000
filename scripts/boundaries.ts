/**
 * Runs the import rules over the tree. A cruise that sees too few modules fails: a broken parser must not look green.
 * `scripts/boundaries.ts <folder>` does the same over another tree that is laid out alike.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise, type ICruiseResult } from 'dependency-cruiser';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const rules = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as {
  forbidden: object[];
  options: Record<string, unknown>;
};
const MODULES_MIN = 60;

const planted = process.argv[2];
const tree = planted ?? root;
process.chdir(tree);
const { exclude, tsConfig, ...options } = rules.options;
const { output } = await cruise(['policies', 'sidecar', 'control-plane', 'injector', 'local', 'cli'], {
  ...options,
  ...(planted === undefined ? { exclude, tsConfig: { fileName: join(root, 'tsconfig.json') } } : {}),
  ruleSet: { forbidden: rules.forbidden },
  validate: true,
} as Parameters<typeof cruise>[1]);
const { summary } = output as ICruiseResult;
for (const violation of summary.violations) {
  console.log(`${violation.rule.name}: ${violation.from} -> ${violation.to}`);
}
console.log(`${summary.totalCruised} modules, ${summary.error} violations`);
if (planted === undefined && summary.totalCruised < MODULES_MIN) {
  console.error(`fewer than ${MODULES_MIN} modules were seen: the cruiser does not read TypeScript`);
  process.exitCode = 1;
}
if (summary.error > 0) process.exitCode = 1;
