/** A workload made with github.com/spiffe/go-spiffe (peers/spiffe), which knows nothing of Weft. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { goProgram } from '../go-program.ts';
import { Program } from '../pair-process.ts';

export const goSpiffe = (): Promise<string> =>
  goProgram('spiffe', join(dirname(fileURLToPath(import.meta.url)), 'spiffe'));

export async function startGoSpiffe(socket: string, ...args: readonly string[]): Promise<Program> {
  const env = { ...process.env, SPIFFE_ENDPOINT_SOCKET: `unix://${socket}` };
  return new Program(await goSpiffe(), args, { env });
}
