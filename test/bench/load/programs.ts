/** The programs that benchmarks need beyond npm packages: installed where they are missing, and built once. */
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const source = join(import.meta.dirname, '..', 'loadgen');
const cache = join(import.meta.dirname, '..', '..', '..', 'node_modules', '.cache', 'weft-tools');
const timeoutMs = 600_000;

/** Debian's package of each program. */
const packages: Readonly<Record<string, string>> = {
  wrk: 'wrk',
  h2load: 'nghttp2-client',
  nghttpd: 'nghttp2-server',
  nginx: 'nginx',
  haproxy: 'haproxy',
  taskset: 'util-linux',
};

const onPath = (program: string): boolean =>
  [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Installs what is missing, or says what to install. */
export async function installPrograms(): Promise<void> {
  const missing = Object.entries(packages).flatMap(([program, name]) => (onPath(program) ? [] : [name]));
  if (missing.length === 0) return;
  const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) throw new Error(`the benchmarks need programs: ${command}`);
  console.error(`# installing: ${command}`);
  // Services of the packages are not wanted, only their programs.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  try {
    await run('apt-get', ['update', '-qq'], { env, timeout: timeoutMs });
    await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { env, timeout: timeoutMs });
  } catch (error) {
    throw new Error(`${command} failed: ${(error as Error).message}`);
  }
}

/** Path of the load generator, built when the cache has none of these sources. */
export async function buildLoadgen(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of readdirSync(source).sort()) hash.update(file).update(readFileSync(join(source, file)));
  const program = join(cache, `loadgen-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'loadgen-'));
  try {
    const built = join(work, 'loadgen');
    await run('go', ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', built, '.'], {
      cwd: source,
      timeout: timeoutMs,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
    });
    await rename(built, program);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new Error('the load generator is built with Go and there is no `go` on PATH: install Go 1.26 or newer');
    }
    throw error;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return program;
}

const versionOf = (command: string, args: readonly string[], pattern: RegExp): string => {
  // nginx says its version on standard error.
  const text = execFileSync('sh', ['-c', `${command} ${args.join(' ')} 2>&1 || true`], { encoding: 'utf8' });
  return pattern.exec(text)?.[1] ?? 'unknown';
};

export const haproxyVersion = (): string => versionOf('haproxy', ['-v'], /version ([\d.]+)/);
export const nginxVersion = (): string => versionOf('nginx', ['-v'], /nginx\/([\d.]+)/);
export const h2loadVersion = (): string => versionOf('h2load', ['--version'], /nghttp2\/([\d.]+)/);
export const wrkVersion = (): string => versionOf('wrk', ['-v'], /wrk (?:debian\/)?([\d.]+)/);
