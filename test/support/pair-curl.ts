import { execFile } from 'node:child_process';

export interface CurlResult {
  readonly exitCode: number;
  /** Response heads and body, as `-i` writes them, one character an octet. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Real curl; a failed transfer is a result, not an exception. */
export function curl(...args: readonly string[]): Promise<CurlResult> {
  return new Promise((resolve) => {
    const options = { encoding: 'latin1', maxBuffer: 200_000_000, timeout: 60_000 } as const;
    execFile('curl', ['-sS', '--max-time', '50', ...args], options, (error, stdout, stderr) => {
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}

/** The status alone. */
export async function curlStatus(...args: readonly string[]): Promise<number> {
  const { stdout } = await curl('-o', '/dev/null', '-w', '%{http_code}', ...args);
  return Number(stdout);
}
