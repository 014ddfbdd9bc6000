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

const { values } = parseArguments();
const ports = { clock: turnClock, prng: systemPrng, log };

// Each way loads what it needs: a static proxy pays for no gRPC, a mesh proxy for no YAML.
if (values.config !== undefined) {
  const concurrency = parseConcurrency(values.concurrency ?? process.env['WEFT_CONCURRENCY']);
  if (!concurrency.ok) fail([`--concurrency ${concurrency.error}`]);
  const { runStaticSidecar } = await import('./static-sidecar.ts');
  const settings = { checkOnly: values.check === true, concurrency: concurrency.value };
  const started = await runStaticSidecar(readText(values.config), settings, ports);
  if (!started.ok) fail(started.error.map((error) => `${values.config}: ${error}`));
} else {
  const concurrency = values.concurrency ?? process.env['WEFT_CONCURRENCY'];
  const config = parseConfig({ ...process.env, WEFT_CONCURRENCY: concurrency });
  if (!config.ok) fail(config.error);
  const { runMeshSidecar } = await import('./mesh-sidecar.ts');
  const started = await runMeshSidecar(config.value, ports);
  if (!started.ok) fail([started.error]);
}
