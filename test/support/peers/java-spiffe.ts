/**
 * A workload made with io.spiffe:java-spiffe (peers/java-spiffe), which knows nothing of Weft. Maven resolves it into the
 * cache once; jars.sha256 says what must come, since Maven has no file of checksums of its own.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Program } from '../pair-process.ts';

const resolveTimeoutMs = 300_000;
const compileTimeoutMs = 120_000;
const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'java-spiffe');
const checksums = join(source, 'jars.sha256');
const cache = join(here, '..', '..', '..', 'node_modules', '.cache', 'weft-tools');
const run = promisify(execFile);

/** Folder of the compiled program and its jars. */
export async function javaSpiffe(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['Workload.java', 'pom.xml', 'jars.sha256']) hash.update(readFileSync(join(source, file)));
  const folder = join(cache, `java-spiffe-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'java-spiffe-'));
  try {
    const jars = join(work, 'jars');
    // A repository beside the other tools, which a cleared cache clears too.
    const where = [`-Dmaven.repo.local=${join(cache, 'maven')}`, `-DoutputDirectory=${jars}`];
    const mvn = ['-B', '-q', '-f', join(source, 'pom.xml'), ...where, '-DincludeScope=runtime', goal];
    await tool('mvn', mvn, resolveTimeoutMs);
    await verify(jars);
    const javac = ['-proc:none', '-cp', join(jars, '*'), '-d', work, join(source, 'Workload.java')];
    await tool('javac', javac, compileTimeoutMs);
    await rename(work, folder).catch((error: NodeJS.ErrnoException) => {
      // Another process was first.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return folder;
}

async function tool(name: string, args: readonly string[], timeout: number): Promise<void> {
  try {
    await run(name, args, { timeout });
  } catch (error) {
    const { code, stdout = '' } = error as NodeJS.ErrnoException & { readonly stdout?: string };
    if (code === 'ENOENT')
      throw new Error(
        `java-spiffe is resolved and compiled by mvn and javac and there is no \`${name}\` on PATH: install a JDK of version 17 or newer and Maven (Debian: openjdk-17-jdk-headless, maven)`,
      );
    throw new Error(`${name}: ${(error as Error).message}\n${stdout.slice(-4_000)}`);
  }
}

async function verify(jars: string): Promise<void> {
  const found: string[] = [];
  for (const jar of (await readdir(jars)).toSorted()) {
    const sum = createHash('sha256').update(await readFile(join(jars, jar)));
    found.push(`${sum.digest('hex')}  ${jar}\n`);
  }
  const wanted = await readFile(checksums, 'utf8');
  if (found.join('') !== wanted)
    throw new Error(`the jars of java-spiffe are not those of ${checksums}:\n${found.join('')}`);
}

export async function startJavaSpiffe(socket: string, ...args: readonly string[]): Promise<Program> {
  const folder = await javaSpiffe();
  // A small machine's share of threads and the first compiler alone: each of these lives for seconds.
  const small = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xshare:auto'];
  const path = `${folder}:${join(folder, 'jars', '*')}`;
  const env = { ...process.env, SPIFFE_ENDPOINT_SOCKET: `unix:${socket}` };
  return new Program('java', [...small, '-cp', path, 'Workload', ...args], { env });
}
