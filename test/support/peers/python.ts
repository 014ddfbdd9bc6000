/** Python programs of tests (peers/*.py), with the packages of requirements.txt installed once into the cache. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Program } from '../pair-process.ts';

const installTimeoutMs = 300_000;
const here = dirname(fileURLToPath(import.meta.url));
const requirements = join(here, 'requirements.txt');
const cache = join(here, '..', '..', '..', 'node_modules', '.cache', 'weft-tools');
const run = promisify(execFile);

/** Folder of the packages. */
export async function pythonPackages(): Promise<string> {
  const { stdout: version } = await run('python3', ['--version']);
  const hash = createHash('sha256').update(version).update(readFileSync(requirements)).digest('hex').slice(0, 16);
  const folder = join(cache, `python-${hash}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'python-'));
  try {
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check', '--target'];
    await run('python3', [...pip, join(work, 'packages'), '-r', requirements], { timeout: installTimeoutMs });
    await rename(join(work, 'packages'), folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

/** Runs one of the programs beside this file. */
export async function python(file: string, ...args: readonly string[]): Promise<Program> {
  return pythonIn({}, file, ...args);
}

/** With more in its environment. */
export async function pythonIn(more: NodeJS.ProcessEnv, file: string, ...args: readonly string[]): Promise<Program> {
  const env = { ...process.env, PYTHONPATH: await pythonPackages(), PYTHONUNBUFFERED: '1', ...more };
  return new Program('python3', [join(here, file), ...args], { env });
}
