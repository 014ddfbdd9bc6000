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
  /** A file has a process of its own; else each of `concurrency` processes runs its share of them. */
  readonly isolated: boolean;
  /** Programs that its tests use are made before the clock starts: a fresh machine builds them once. */
  readonly needsTools: boolean;
}

const tiers: Readonly<Record<string, Tier>> = {
  unit: {
    patterns: ['{policies,sidecar,control-plane,injector,local,cli,scripts}/**/*.test.ts'],
    budgetS: 65,
    needsRoot: false,
    concurrency: 2,
    isolated: false,
    needsTools: false,
  },
  integration: {
    patterns: ['test/{integration,lint,simulation}/**/*.test.ts'],
    budgetS: 330,
    needsRoot: true,
    concurrency: 2,
    isolated: true,
    needsTools: true,
  },
  e2e: {
    patterns: ['test/e2e/**/*.test.ts'],
    budgetS: 205,
    needsRoot: true,
    concurrency: 1,
    isolated: true,
    needsTools: true,
  },
  long: {
    patterns: ['test/{conformance,differential,fuzz}/**/*.test.ts'],
    budgetS: 1_950,
    needsRoot: true,
    concurrency: 1,
    isolated: true,
    needsTools: true,
  },
};

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Hundreds of processes load the same sources: what one has compiled the next one finds. */
const compileCache = join(root, 'node_modules', '.cache', 'compile');

/**
 * mallopt(3), M_PERTURB: memory that is handed out begins full of line feeds (the complement of this), which is what a
 * parser that reads beyond what it received is misled by. Of itself fresh memory is mostly zero, which misleads nobody.
 */
const DIRTY_MEMORY = '245';

let toolsReady = false;

function prepareTools(): void {
  if (toolsReady) return;
  toolsReady = true;
  const startedMs = performance.now();
  spawnSync(process.execPath, [join(root, 'test', 'support', 'prepare-tools.ts')], { cwd: root, stdio: 'inherit' });
  console.log(`# tools of the tests: ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
}

/** Resolves to true when all files of the tier passed in time. */
async function run(name: string, tier: Tier): Promise<boolean> {
  const files = tier.patterns.flatMap((pattern) =>
    globSync(pattern, { cwd: root, exclude: (path) => path.includes('node_modules') || path.includes('planted') }),
  );
  if (files.length === 0) {
    console.log(`# tier ${name}: no test files`);
    return true;
  }
  if (tier.needsRoot && process.getuid?.() !== 0) {
    console.error(`# tier ${name} makes network namespaces and has to run as root`);
    return false;
  }
  if (tier.needsTools) prepareTools();
  files.sort();
  const startedMs = performance.now();
  const passed = tier.isolated
    ? await runFiles(tier, files, [`--test-concurrency=${tier.concurrency}`])
    : await runShares(tier, files);
  const seconds = (performance.now() - startedMs) / 1_000;
  const inTime = seconds <= tier.budgetS;
  console.log(`# tier ${name}: ${files.length} files, ${seconds.toFixed(1)} s of ${tier.budgetS} s`);
  if (!inTime) console.error(`# tier ${name} took longer than its budget`);
  return passed && inTime;
}

/** Most of the time of a small test is the start of its process: a few processes share the files between them. */
async function runShares(tier: Tier, files: readonly string[]): Promise<boolean> {
  const shares = Array.from({ length: tier.concurrency }, (_, share) =>
    files.filter((_file, index) => index % tier.concurrency === share),
  );
  const passed = await Promise.all(shares.map((share) => runFiles(tier, share, ['--test-isolation=none'])));
  return passed.every((one) => one);
}

/** What it says comes in one piece where several run at once. Resolves to true when all tests passed. */
function runFiles(tier: Tier, files: readonly string[], options: readonly string[]): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [
      '--experimental-ffi',
      '--disable-warning=ExperimentalWarning',
      '--test',
      ...options,
      '--test-timeout=180000',
      ...files,
    ],
    {
      cwd: root,
      stdio: ['inherit', tier.isolated ? 'inherit' : 'pipe', 'inherit'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache, MALLOC_PERTURB_: DIRTY_MEMORY },
    },
  );
  const said: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => said.push(chunk));
  const timer = setTimeout(() => child.kill('SIGTERM'), (tier.budgetS + 30) * 1_000);
  return new Promise((resolve) => {
    child.once('close', (code) => {
      clearTimeout(timer);
      process.stdout.write(Buffer.concat(said));
      resolve(code === 0);
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
