import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemPrng } from '@weft/policies/kit/prng';
import { parseConcurrency, parseConfig } from './config.ts';
import { turnClock } from './net/turn.ts';

/** Lines of the process itself go to stderr; stdout is the access log. */
const log = (line: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
};

function fail(lines: readonly string[]): never {
  for (const line of lines) process.stderr.write(`weft sidecar: ${line}\n`);
  process.exit(64);
}

function parseArguments() {
  try {
    const options = {
      config: { type: 'string', short: 'c' },
      check: { type: 'boolean' },
      concurrency: { type: 'string' },
    } as const;
    return parseArgs({ options, strict: true });
  } catch (error) {
    return fail([(error as Error).message]);
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return fail([`${file} cannot be read: ${(error as Error).message}`]);
  }
}

const ports = { clock: turnClock, prng: systemPrng, log };

async function runStatic(file: string, checkOnly: boolean, threads: string | undefined): Promise<void> {
  const concurrency = parseConcurrency(threads);
  if (!concurrency.ok) fail([`--concurrency ${concurrency.error}`]);
  const { runStaticSidecar } = await import('./static-sidecar.ts');
  const started = await runStaticSidecar(readText(file), { checkOnly, concurrency: concurrency.value }, ports);
  if (!started.ok) fail(started.error.map((error) => `${file}: ${error}`));
}

async function runInMesh(threads: string | undefined): Promise<void> {
  const config = parseConfig({ ...process.env, WEFT_CONCURRENCY: threads });
  if (!config.ok) fail(config.error);
  const { runMeshSidecar } = await import('./mesh-sidecar.ts');
  const started = await runMeshSidecar(config.value, ports);
  if (!started.ok) fail([started.error]);
}

/** What is compiled ahead besides a start: scripts/code-cache.ts. */
export const loadWarmUp = (): Promise<typeof import('./warm-up.ts')> => import('./warm-up.ts');

const { values } = parseArguments();
const threads = values.concurrency ?? process.env['WEFT_CONCURRENCY'];
// Each way runs what it needs: a static proxy pays for no gRPC, a mesh proxy for no YAML. No `await` here: what ships is
// CommonJS, for which alone V8 takes what was compiled ahead. What it throws ends the process.
void (values.config === undefined ? runInMesh(threads) : runStatic(values.config, values.check === true, threads));
