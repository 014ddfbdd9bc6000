#!/usr/bin/env node
import { commands } from './commands/index.ts';
import { ExitCode, UsageError } from './exit.ts';

const [name, ...args] = process.argv.slice(2);

function overview(): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    'weft: a service mesh, on this machine or on a cluster',
    '',
    'Usage: weft <command> [options]      weft <command> --help',
    '',
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    '',
  ].join('\n');
}

async function main(): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(overview());
    return name === undefined ? ExitCode.usage : ExitCode.ok;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) throw new UsageError(`there is no command "${name}"; "weft --help" lists them`);
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(`${command.help}\n`);
    return ExitCode.ok;
  }
  return command.run(args);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(`weft: ${(error as Error).message}`);
    if (!(error instanceof UsageError) && process.env['WEFT_DEBUG'] !== undefined) console.error(error);
    process.exitCode = error instanceof UsageError ? ExitCode.usage : ExitCode.failed;
  },
);
