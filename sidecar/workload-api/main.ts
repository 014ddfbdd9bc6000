/** The program behind `weft identity serve`. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import { Secret } from '@weft/policies/kit/secret';
import { type AgentConfig, startAgent } from './agent.ts';
import { agentOptions, socketPath } from './options.ts';

const log = (line: string): void => {
  process.stderr.write(`${new Date().toISOString()} ${line}\n`);
};

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;

function fail(line: string, code = EXIT_USAGE): never {
  process.stderr.write(`weft identity serve: ${line}\n`);
  process.exit(code);
}

function parse() {
  try {
    return parseArgs({ options: agentOptions, strict: true }).values;
  } catch (error) {
    return fail((error as Error).message);
  }
}

function joinToken(text: string | undefined): Secret<string> | undefined {
  // Arguments of a process can be read by everybody on the machine; a file and the environment cannot.
  if (text === undefined || text === '') return undefined;
  if (!text.startsWith('@')) return new Secret(text);
  try {
    return new Secret(readFileSync(text.slice(1), 'utf8').trim());
  } catch (error) {
    return fail(`${text.slice(1)} cannot be read: ${(error as Error).message}`);
  }
}

function uid(text: string): number {
  return /^[0-9]{1,10}$/.test(text) ? Number(text) : fail(`--allow-uid is "${text}", must be the number of a user`);
}

const values = parse();
const required = (name: 'socket' | 'control-plane' | 'trust'): string => values[name] ?? fail(`--${name} is needed`);
const own = process.getuid?.() ?? 0;
const config: AgentConfig = {
  socket: socketPath(required('socket')),
  controlPlane: required('control-plane'),
  serverName: values['server-name'],
  trustFile: required('trust'),
  joinToken: joinToken(values['join-token'] ?? process.env['WEFT_JOIN_TOKEN']),
  stateDir: values.state,
  allowUids: values['allow-uid']?.map(uid) ?? [own],
};
if (!/:[0-9]{1,5}$/.test(config.controlPlane)) fail(`--control-plane is "${config.controlPlane}", must be host:port`);
delete process.env['WEFT_JOIN_TOKEN'];
const started = await startAgent(config, { clock: systemClock, prng: systemPrng, log });
if (!started.ok) fail(started.error, 1);
log(`serving the Workload API for ${started.value.spiffeId} on unix://${config.socket}`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    started.value.close();
    process.exit(0);
  });
}
