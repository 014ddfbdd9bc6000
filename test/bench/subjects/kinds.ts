/** The two proxies that read Envoy's bootstraps: the bundled sidecar with the flags of its image, and Envoy. */
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ENVOY_VERSION, findEnvoy } from '../../support/envoy.ts';
import { Program } from '../../support/pair-process.ts';
import { adminPage } from '../../support/pair-sidecar.ts';
import { onCore, proxyCore } from '../cores.ts';

export interface BootstrapText {
  readonly text: string;
  readonly adminPort: number;
}

export interface StartOptions {
  /** Threads that carry traffic. */
  readonly concurrency?: number;
  readonly cores?: number | string;
  /** Folder for a CPU profile, written at its end; Weft alone makes one. */
  readonly profileFolder?: string | undefined;
}

export interface Kind {
  readonly key: 'weft' | 'envoy';
  readonly name: string;
  /** Starts without waiting. */
  spawn(bootstrap: BootstrapText, options?: StartOptions): Promise<Program>;
  /** Starts, and waits until it says that it is ready. */
  start(bootstrap: BootstrapText, options?: StartOptions): Promise<Program>;
}

export interface WeftKind extends Kind {
  /** What it says against a bootstrap; empty when it takes it. */
  refuses(text: string): Promise<string>;
}

/** The command line of the image, with the places of its build context: what is measured is what ships. */
export function imageCommand(built: string, image: string): readonly [string, ...string[]] {
  const context = join(built, 'images', image);
  const line = /^ENTRYPOINT (\[.*\])$/m.exec(readFileSync(join(context, 'Dockerfile'), 'utf8'))?.[1];
  if (line === undefined) throw new Error(`the Dockerfile of ${image} has no ENTRYPOINT in JSON`);
  const words: readonly string[] = JSON.parse(line);
  const [, ...args] = words.map((word) => word.replace(/(^|=)\/weft\//, `$1${context}/weft/`));
  // Bootstraps, certificates and profiles are there, where a pod has mounts.
  const files = `${tmpdir()}/*`;
  return [join(context, 'node'), `--allow-fs-read=${files}`, `--allow-fs-write=${files}`, ...args];
}

async function written(folder: string, text: string): Promise<string> {
  const file = join(await mkdtemp(join(folder, 'bootstrap-')), 'bootstrap.json');
  await writeFile(file, text);
  return file;
}

/** The command of the image with a profiler in it, which writes nothing under Node's permission model. */
function profiled([node, ...args]: readonly [string, ...string[]], folder: string | undefined): readonly string[] {
  if (folder === undefined) return [node, ...args];
  const free = args.filter((arg) => arg !== '--permission' && !arg.startsWith('--allow-'));
  return [node, '--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=200', ...free];
}

/** As in a pod: authorities that this machine's own programs are told to trust are not read in by every sidecar besides. */
const podEnvironment = (): NodeJS.ProcessEnv => ({ ...process.env, NODE_EXTRA_CA_CERTS: undefined });

export function weftKind(built: string, folder: string): WeftKind {
  const command = imageCommand(built, 'sidecar');
  const spawn: Kind['spawn'] = async ({ text }, options = {}) => {
    const { concurrency = 1, cores = proxyCore, profileFolder } = options;
    if (profileFolder !== undefined) await mkdir(profileFolder, { recursive: true });
    const [node = '', ...args] = profiled(command, profileFolder);
    const threads = concurrency === 1 ? [] : ['--concurrency', String(concurrency)];
    const pinned = onCore(cores, node, [...args, '-c', await written(folder, text), ...threads]);
    return new Program('taskset', pinned, { env: podEnvironment() });
  };
  return {
    key: 'weft',
    name: 'weft',
    spawn,
    async start(bootstrap, options) {
      const program = await spawn(bootstrap, options);
      await program.until('serving', () => program.stderr.includes(' serving '));
      return program;
    },
    async refuses(text) {
      const [node, ...args] = command;
      const program = new Program(node, [...args, '-c', await written(folder, text), '--check']);
      const code = await program.exitCode();
      return code === 0 ? '' : program.stderr.trim();
    },
  };
}

export function envoyKind(folder: string): Kind {
  const spawn: Kind['spawn'] = async ({ text }, { concurrency = 1, cores = proxyCore } = {}) => {
    const flags = ['--concurrency', String(concurrency), '--disable-hot-restart', '--log-level', 'error'];
    const args = ['--config-path', await written(folder, text), ...flags];
    return new Program('taskset', onCore(cores, await findEnvoy(), args));
  };
  return {
    key: 'envoy',
    name: `envoy ${ENVOY_VERSION}`,
    spawn,
    async start(bootstrap, options) {
      const program = await spawn(bootstrap, options);
      await program.until('ready', async () => {
        try {
          return (await adminPage(bootstrap.adminPort, '/ready')).status === 200;
        } catch {
          return false;
        }
      });
      return program;
    },
  };
}
