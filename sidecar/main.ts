import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { parseConfig } from './config.ts';
import { runMeshSidecar } from './mesh-sidecar.ts';
import { runStaticSidecar } from './static-sidecar.ts';

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
    return parseArgs({ options: { config: { type: 'string', short: 'c' }, check: { type: 'boolean' } }, strict: true });
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
const ports = { clock: systemClock, prng: systemPrng, log };

if (values.config !== undefined) {
  const started = await runStaticSidecar(readText(values.config), values.check === true, ports);
  if (!started.ok) fail(started.error.map((error) => `${values.config}: ${error}`));
} else {
  const config = parseConfig(process.env);
  if (!config.ok) fail(config.error);
  const started = await runMeshSidecar(config.value, ports);
  if (!started.ok) fail([started.error]);
}
