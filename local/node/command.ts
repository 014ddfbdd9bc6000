import { execFile } from 'node:child_process';

export type CommandResult =
  | { readonly ok: true; readonly stdout: string }
  | { readonly ok: false; readonly message: string };

const TIMEOUT_MS = 10_000;
const OUTPUT_BYTES_MAX = 16 << 20;

/** Runs one host program to its end, bounded in time and output; standard input is given whole. */
export function runCommand(program: string, args: readonly string[], input?: string): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      { timeout: TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) return resolve({ ok: true, stdout });
        const why = stderr.trim() || error.message;
        resolve({ ok: false, message: `${program} ${args.join(' ')}: ${why}` });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input ?? '');
  });
}

/** Many `ip` commands in one process; stops at the first that fails, and the message names its line. */
export async function ipBatch(lines: readonly string[], namespace?: string): Promise<CommandResult> {
  const inside = namespace === undefined ? [] : ['-n', namespace];
  const result = await runCommand('ip', [...inside, '-batch', '-'], `${lines.join('\n')}\n`);
  if (result.ok) return result;
  const line = /Command failed -:(\d+)/.exec(result.message)?.[1];
  const command = line === undefined ? undefined : lines[Number(line) - 1];
  return { ok: false, message: command === undefined ? result.message : `ip ${command}: ${result.message}` };
}
