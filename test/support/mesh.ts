import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findTool } from './tools.ts';
import { waitFor } from './wait.ts';

const run = promisify(execFile);
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const nodeFlags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
const STOP_TIMEOUT_MS = 30_000;

export interface Kubectl {
  (...args: readonly string[]): Promise<string>;
  /** `kubectl apply -f -` of one or more documents. */
  apply(yaml: string): Promise<string>;
  /** What `kubectl apply` would warn of; nothing is stored. */
  warnings(yaml: string): Promise<string>;
  json<T>(...args: readonly string[]): Promise<T>;
}

/** A mesh of its own, made by the `weft` command as a user would, with its state in a folder of the test. */
export interface TestMesh {
  readonly name: string;
  readonly folder: string;
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  readonly output: () => string;
  /** From the start of the command to its saying that all is up. */
  readonly startMs: number;
  weft(...args: readonly string[]): Promise<{ readonly stdout: string; readonly code: number }>;
  /** Ctrl-C, then waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export async function startMesh(name: string, args: readonly string[] = []): Promise<TestMesh> {
  const folder = mkdtempSync(join(tmpdir(), `weft-${name}-`));
  const startedMs = performance.now();
  const child = spawn(process.execPath, [...nodeFlags, join(root, 'cli', 'main.ts'), 'up', '--mesh', name, ...args], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (chunk: string) => {
      output += chunk;
    });
  }
  const kubeconfig = join(folder, '.weft', 'kubeconfig');
  await waitFor(
    `weft up --mesh ${name}`,
    () => {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}:\n${output}`);
      return output.includes('The mesh is up') ? true : undefined;
    },
    90_000,
  ).catch((error: unknown) => {
    child.kill('SIGINT');
    throw new Error(`${(error as Error).message}\n${output}`);
  });
  const startMs = performance.now() - startedMs;
  return {
    name,
    folder,
    kubeconfig,
    kubectl: await makeKubectl(kubeconfig),
    output: () => output,
    startMs,
    async weft(...command) {
      try {
        const { stdout } = await run(process.execPath, [...nodeFlags, join(root, 'cli', 'main.ts'), ...command], {
          cwd: folder,
        });
        return { stdout, code: 0 };
      } catch (error) {
        const failed = error as { stdout?: string; stderr?: string; code?: number };
        return { stdout: `${failed.stdout ?? ''}${failed.stderr ?? ''}`, code: failed.code ?? -1 };
      }
    },
    async stop(signal = 'SIGINT') {
      child.kill(signal);
      await ended(child, output);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess, output: string): Promise<void> {
  await waitFor(
    `the end of weft up (${output.slice(-500)})`,
    () => (child.exitCode !== null || child.signalCode !== null ? true : undefined),
    STOP_TIMEOUT_MS,
  );
}

async function makeKubectl(kubeconfig: string): Promise<Kubectl> {
  const binary = await findTool('kubectl');
  const options = { env: { ...process.env, KUBECONFIG: kubeconfig }, maxBuffer: 64 * 1_024 * 1_024 };
  const call = async (...args: readonly string[]): Promise<string> => {
    try {
      return (await run(binary, [...args], options)).stdout;
    } catch (error) {
      const { stderr, stdout } = error as { stderr?: string; stdout?: string };
      throw new Error(`kubectl ${args.join(' ')}: ${stderr ?? ''}${stdout ?? ''}`);
    }
  };
  const apply = (yaml: string, ...more: readonly string[]): Promise<{ stdout: string; stderr: string }> =>
    new Promise((resolve, reject) => {
      const child = execFile(binary, ['apply', '-f', '-', ...more], options, (error, stdout, stderr) => {
        if (error === null) resolve({ stdout, stderr });
        else reject(new Error(stderr));
      });
      child.stdin?.end(yaml);
    });
  return Object.assign(call, {
    apply: async (yaml: string): Promise<string> => (await apply(yaml)).stdout,
    warnings: async (yaml: string): Promise<string> => (await apply(yaml, '--dry-run=server')).stderr,
    json: async <T>(...args: readonly string[]): Promise<T> => JSON.parse(await call(...args, '-o', 'json')) as T,
  });
}
