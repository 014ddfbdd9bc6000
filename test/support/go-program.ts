/** Programs of tests that are built once, from Go modules at the versions and checksums of their go.sum. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const buildTimeoutMs = 600_000;
const cache = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'node_modules', '.cache', 'weft-tools');
const run = promisify(execFile);

/** Path of the program that a folder is the source of, built when the cache has none of these sources. */
export async function goProgram(name: string, source: string): Promise<string> {
  const hash = createHash('sha256');
  const code = readdirSync(source)
    .filter((file) => file.endsWith('.go'))
    .toSorted();
  for (const file of [...code, 'go.mod', 'go.sum']) hash.update(readFileSync(join(source, file)));
  const program = join(cache, `${name}-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, `${name}-`));
  try {
    const built = join(work, name);
    // Without C the build needs no compiler but Go's; readonly keeps to the checked versions.
    await run('go', ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', built, '.'], {
      cwd: source,
      timeout: buildTimeoutMs,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
    });
    await rename(built, program);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error(`${name} is built from Go modules and there is no \`go\` on PATH: install Go 1.26 or newer`);
    }
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}
