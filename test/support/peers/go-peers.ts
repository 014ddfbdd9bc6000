/** A gRPC client and server made with google.golang.org/grpc (peers/go). */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goProgram } from '../go-program.ts';
import { accepts } from '../nginx.ts';
import { Program } from '../pair-process.ts';

export const goPeers = (): Promise<string> => goProgram('peers', join(dirname(fileURLToPath(import.meta.url)), 'go'));

/** `connectionAgeMs`: how long a connection lives until the server sends GOAWAY. */
export async function startGoServer(port: number, connectionAgeMs?: number): Promise<Program> {
  const env = connectionAgeMs === undefined ? {} : { PEERS_CONNECTION_AGE_MS: String(connectionAgeMs) };
  const program = new Program(await goPeers(), ['serve', `127.0.0.1:${port}`], { env: { ...process.env, ...env } });
  await program.until('listening', () => accepts('127.0.0.1', port));
  return program;
}

/** A client that runs the named cases against a port, one after the other. */
export async function startGoClient(port: number, ...cases: readonly string[]): Promise<Program> {
  return new Program(await goPeers(), ['call', `127.0.0.1:${port}`, ...cases]);
}

/** What each case of a client ended with, empty if well. */
export async function outcomesOf(
  client: Program,
  ...cases: readonly string[]
): Promise<Readonly<Record<string, string>>> {
  const code = await client.exitCode();
  const outcomes: Record<string, string> = {};
  for (const line of client.stdout.split('\n')) {
    if (!line.startsWith('{')) continue;
    const outcome: { readonly case: string; readonly error: string } = JSON.parse(line);
    outcomes[outcome.case] = outcome.error;
  }
  for (const name of cases) outcomes[name] ??= `not run, exit code ${code}: ${client.stderr.slice(0, 2_000)}`;
  return outcomes;
}

export async function goCalls(port: number, ...cases: readonly string[]): Promise<Readonly<Record<string, string>>> {
  return outcomesOf(await startGoClient(port, ...cases), ...cases);
}
