/**
 * Runs the tiers of tests named on the command line, each within its time budget; over it, the build fails.
 *
 *   unit         x.test.ts beside the code; no root, no fixed ports
 *   integration  test/{integration,lint,simulation}; own network namespaces, as root
 *   e2e          test/e2e; one shared mesh, as root
 *   long         test/{conformance,differential,fuzz}
 */
import { spawn, spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Tier {
  readonly patterns: readonly string[];
  readonly budgetS: number;
  readonly needsRoot: boolean;
  /** Files at once. */
  readonly concurrency: number;
  /** Programs that its tests use are made before the clock starts: a fresh machine builds them once. */
  readonly needsTools: boolean;
}

const tiers: Readonly<Record<string, Tier>> = {
  unit: {
    patterns: ['{policies,sidecar,control-plane,injector,local,cli,scripts}/**/*.test.ts'],
    budgetS: 60,
    needsRoot: false,
    concurrency: 2,
    needsTools: false,
  },
  integration: {
    patterns: ['test/{integration,lint,simulation}/**/*.test.ts'],
    budgetS: 300,
    needsRoot: true,
    concurrency: 2,
    needsTools: true,
  },
  e2e: { patterns: ['test/e2e/**/*.test.ts'], budgetS: 240, needsRoot: true, concurrency: 1, needsTools: true },
  long: {
    patterns: ['test/{conformance,differential,fuzz}/**/*.test.ts'],
    budgetS: 1_800,
    needsRoot: true,
    concurrency: 1,
    needsTools: true,
  },
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Hundreds of processes load the same sources: what one has compiled the next one finds. */
const compileCache = join(root, 'node_modules', '.cache', 'compile');

let toolsReady = false;

function prepareTools(): void {
  if (toolsReady) return;
  toolsReady = true;
  const startedMs = performance.now();
  spawnSync(process.execPath, [join(root, 'test', 'support', 'prepare-tools.ts')], { cwd: root, stdio: 'inherit' });
  console.log(`# tools of the tests: ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
}

/** Resolves to true when all files of the tier passed in time. */
function run(name: string, tier: Tier): Promise<boolean> {
  const files = tier.patterns.flatMap((pattern) =>
    globSync(pattern, { cwd: root, exclude: (path) => path.includes('node_modules') || path.includes('planted') }),
  );
  if (files.length === 0) {
    console.log(`# tier ${name}: no test files`);
    return Promise.resolve(true);
  }
  if (tier.needsRoot && process.getuid?.() !== 0) {
    console.error(`# tier ${name} makes network namespaces and has to run as root`);
    return Promise.resolve(false);
  }
  if (tier.needsTools) prepareTools();
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--experimental-ffi',
      '--disable-warning=ExperimentalWarning',
      '--test',
      `--test-concurrency=${tier.concurrency}`,
      '--test-timeout=180000',
      ...files.sort(),
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, NODE_COMPILE_CACHE: compileCache } },
  );
  const timer = setTimeout(() => child.kill('SIGTERM'), (tier.budgetS + 30) * 1_000);
  return new Promise((resolve) => {
    child.once('exit', (code) => {
      clearTimeout(timer);
      const seconds = (performance.now() - startedMs) / 1_000;
      const inTime = seconds <= tier.budgetS;
      console.log(`# tier ${name}: ${files.length} files, ${seconds.toFixed(1)} s of ${tier.budgetS} s`);
      if (!inTime) console.error(`# tier ${name} took longer than its budget`);
      resolve(code === 0 && inTime);
    });
  });
}

let failed = false;
for (const name of process.argv.slice(2)) {
  const tier = tiers[name];
  if (tier === undefined) throw new Error(`unknown tier "${name}"; there are ${Object.keys(tiers).join(', ')}`);
  if (!(await run(name, tier))) failed = true;
}
process.exitCode = failed ? 1 : 0;
