/** github.com/zmap/zlint, restricted to the rules of RFC 5280 and RFC 5480. */
import { execFile } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goProgram } from './go-program.ts';

export const zlint = (): Promise<string> => goProgram('zlint', join(dirname(fileURLToPath(import.meta.url)), 'zlint'));

export interface LintVerdict {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly passed: number;
}

/** One verdict a certificate, in their order. */
export async function lint(ders: readonly Uint8Array[]): Promise<readonly LintVerdict[]> {
  const program = await zlint();
  const output = await new Promise<string>((resolve, reject) => {
    const child = execFile(program, { timeout: 60_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`zlint: ${stderr || error.message}`)),
    );
    child.stdin?.end(ders.map((der) => `${Buffer.from(der).toString('base64')}\n`).join(''));
  });
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line): LintVerdict => JSON.parse(line));
}
