import { existsSync } from 'node:fs';
import { type Command, parseOptions } from '../command.ts';
import { UsageError } from '../exit.ts';
import { program } from '../program.ts';

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
    const { file, flags } = program('sidecar/main');
    const concurrency = options.concurrency === undefined ? [] : ['--concurrency', options.concurrency];
    // The proxy takes the place of this process: one less to hold memory and pass signals on.
    process.execve?.(
      process.execPath,
      [
        process.execPath,
        ...flags,
        file,
        '-c',
        options.config,
        ...concurrency,
        ...(options.check === true ? ['--check'] : []),
      ],
      { ...process.env } as Record<string, string>,
    );
    throw new Error('this Node cannot replace its process; Node 26 is needed');
  },
};
