import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { nodeFlags, projectCode } from '@weft/local/images/node-flags';
import { bootstrapFiles } from '../bootstrap-files.ts';
import { type Command, parseOptions } from '../command.ts';
import { UsageError } from '../exit.ts';
import { becomeProgram, projectRoot } from '../program.ts';

export const sidecar: Command = {
  name: 'sidecar',
  summary: 'run one proxy from an Envoy v3 bootstrap file',
  help: `Usage: weft sidecar -c <bootstrap.yaml>

Runs one Weft proxy in the foreground from a static Envoy v3 bootstrap (YAML or JSON): listeners, clusters and routes
come from the file, no control plane is needed. Whatever Weft does not support is refused with the path of the field.

  -c, --config <file>   the bootstrap
      --concurrency <n> threads that take connections; 1 unless said, or WEFT_CONCURRENCY
      --check           read and check the file, start nothing

SIGTERM drains and ends it.`,

  async run(args) {
    const options = parseOptions(args, {
      config: { type: 'string', short: 'c' },
      check: { type: 'boolean' },
      concurrency: { type: 'string' },
    });
    if (options.config === undefined) throw new UsageError('weft sidecar needs -c <bootstrap.yaml>');
    if (!existsSync(options.config)) throw new UsageError(`${options.config} does not exist`);
    // Of files the proxy gets those that the bootstrap names.
    const named = bootstrapFiles(readFileSync(options.config, 'utf8'));
    const flags = nodeFlags('sidecar', {
      code: projectCode(projectRoot, 'sidecar'),
      root: projectRoot,
      read: [resolve(options.config), ...named.read],
      write: named.write,
    });
    const concurrency = options.concurrency === undefined ? [] : ['--concurrency', options.concurrency];
    const check = options.check === true ? ['--check'] : [];
    return becomeProgram('sidecar/main', flags, ['-c', options.config, ...concurrency, ...check]);
  },
};
