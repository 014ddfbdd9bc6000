/**
 * `npm run bench -- <name>... [--json]`: Weft against Envoy on this machine, run by run in turn, the ratio of medians.
 * Proxies on one core, load and applications on another. With --json, one object a line.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildPackage } from '../support/package.ts';
import { testFolder } from '../support/pair-sidecar.ts';
import { authz } from './benches/authz.ts';
import { handshakes } from './benches/handshakes.ts';
import { idle } from './benches/idle.ts';
import { mtlsGrpc } from './benches/mtls-grpc.ts';
import { mtlsHttp1 } from './benches/mtls-h1.ts';
import { plainHttp1, plainHttp2 } from './benches/plain.ts';
import { scale } from './benches/scale.ts';
import { start } from './benches/start.ts';
import { tcpMtls } from './benches/tcp-mtls.ts';
import { certificateAuthority } from './ca/bench.ts';
import { type Bench, type LoneBench, makeContext, type Options } from './context.ts';
import { renderPage, writePage } from './page.ts';
import { Report } from './report.ts';

const benches: Readonly<Record<string, Bench>> = {
  'mtls-h1': mtlsHttp1,
  'mtls-grpc': mtlsGrpc,
  'h1-plain': plainHttp1,
  'h2-plain': plainHttp2,
  'tcp-mtls': tcpMtls,
  handshakes,
  authz,
  idle,
  start,
  scale,
};

/** Those that need neither proxies nor load generators. */
const lone: Readonly<Record<string, LoneBench>> = {
  ca: certificateAuthority,
};

const EX_USAGE = 64;

interface Command {
  readonly names: readonly string[];
  readonly options: Options;
  readonly json: boolean;
  readonly write: boolean;
  /** A build that is there already. */
  readonly dist: string | undefined;
}

const usage = [
  'Usage: npm run bench -- all|<name>... [--json] [--runs N] [--seconds N] [--connections N] [--quick] [--write]',
  '                                      [--profile] [--dist FOLDER]',
  '',
  ...Object.entries({ ...benches, ...lone }).map(([name, { what }]) => `  ${name.padEnd(10)} ${what}`),
  '',
  '  --quick    one run of a second: does everything work',
  '  --write    put the results into docs/benchmarks.md',
  '  --dist     measures what `node scripts/build.ts FOLDER` has made there before, instead of the working tree',
  '  --profile  of mtls-h1: CPU profiles of the sidecars, and where their time went',
].join('\n');

function parse(): Command | string {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean', default: false } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: flag,
      quick: flag,
      write: flag,
      profile: flag,
      dist: text,
      runs: text,
      seconds: text,
      connections: text,
    },
  });
  const all = positionals.includes('all');
  const names = all ? [...Object.keys(benches), ...Object.keys(lone)] : positionals;
  if (names.length === 0 || names.some((name) => (benches[name] ?? lone[name]) === undefined)) return usage;
  // All of them together are to be done in about ten minutes.
  const [runsUsual, secondsUsual] = values.quick ? ['1', '1'] : all ? ['3', '3'] : ['5', '4'];
  const numbers = [values.runs ?? runsUsual, values.seconds ?? secondsUsual, values.connections ?? '32'].map(Number);
  const [runs = 0, seconds = 0, connections = 0] = numbers;
  if (!numbers.every((number) => Number.isInteger(number) && number > 0)) return 'counts are positive whole numbers';
  if (availableParallelism() < 2) return 'a benchmark needs two cores: one for the proxies, one for the load';
  if (values.profile && names.some((name) => name !== 'mtls-h1')) return '--profile is for mtls-h1';
  const profileFolder = values.profile ? mkdtempSync(join(tmpdir(), 'weft-profiles-')) : undefined;
  return {
    names,
    options: { runs, seconds, connections, quick: values.quick, profileFolder },
    json: values.json,
    write: values.write,
    dist: values.dist,
  };
}

async function timed(name: string, work: () => Promise<void> | undefined): Promise<void> {
  const startedMs = performance.now();
  await work();
  console.error(`# ${name}: ${((performance.now() - startedMs) / 1_000).toFixed(1)} s`);
}

async function run({ names, options, json, write, dist }: Command): Promise<boolean> {
  const report = new Report(json);
  const ofProxies = names.filter((name) => benches[name] !== undefined);
  if (ofProxies.length > 0) await runWithProxies(ofProxies, options, report, dist);
  for (const name of names) if (lone[name] !== undefined) await timed(name, () => lone[name]?.run(options, report));
  if (write) writePage(report.rows, names, options);
  return !report.failed;
}

async function runWithProxies(
  names: readonly string[],
  options: Options,
  report: Report,
  dist: string | undefined,
): Promise<void> {
  const folder = testFolder('bench');
  try {
    const built = dist ?? join(folder, 'dist');
    if (dist === undefined) await buildPackage(built);
    const running = await makeContext(options, report, { folder, built });
    try {
      for (const name of names) await timed(name, () => benches[name]?.run(running.context));
    } finally {
      await running.stop();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const command = process.argv[2] === 'page' ? 'page' : parse();
if (command === 'page') {
  renderPage();
} else if (typeof command === 'string') {
  console.error(command);
  process.exitCode = EX_USAGE;
} else if (!(await run(command))) {
  // Numbers that are there are printed; the exit code says that some are not.
  process.exitCode = 1;
}
