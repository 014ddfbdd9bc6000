/** What ships, built into a folder of the test and installed as a user does. */
import { execFile } from 'node:child_process';
import { readdirSync, symlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const nodePackage = `node-${process.platform}-${process.arch}`;
const timeoutMs = 180_000;

/** `<folder>/weft` is the npm package, `<folder>/images/<name>` a build context. */
export async function buildPackage(folder: string): Promise<void> {
  await run(process.execPath, [join(root, 'scripts', 'build.ts'), folder], { cwd: root, timeout: timeoutMs });
}

export interface Installed {
  readonly folder: string;
  /** The command as npm links it. */
  readonly weft: string;
}

/**
 * Packs and installs without a network. The runtime, which npm would bring as an optional dependency of 150 MB, is linked
 * from this repository's node_modules, where `npm ci` has put the same package.
 */
export async function installPackage(built: string, folder: string): Promise<Installed> {
  await mkdir(folder, { recursive: true });
  await run('npm', ['pack', '--silent', '--pack-destination', folder], {
    cwd: join(built, 'weft'),
    timeout: timeoutMs,
  });
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (tarball === undefined) throw new Error('npm pack left no tarball');
  await run('npm', ['install', '--offline', '--omit=optional', '--no-audit', '--no-fund', `./${tarball}`], {
    cwd: folder,
    timeout: timeoutMs,
  });
  return { folder, weft: join(folder, 'node_modules', '.bin', 'weft') };
}

export function linkRuntime({ folder }: Installed): void {
  symlinkSync(join(root, 'node_modules', nodePackage), join(folder, 'node_modules', nodePackage));
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; any exit code is a result. */
export function finish(command: string, args: readonly string[], cwd: string): Promise<Finished> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd, encoding: 'utf8', timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), stdout, stderr });
    });
  });
}
