import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { MeshNames } from '../node/names.ts';
import { NETNS_ROOT } from '../node/node.ts';
import { inNetworkNamespace } from '../node/syscalls.ts';

interface AgentProcessOptions {
  readonly names: MeshNames;
  readonly kubeconfigPath: string;
  readonly projectRoot: string;
  readonly logsRoot: string;
  readonly imagesFile: string;
  readonly clusterDomain: string;
  readonly resolverSocket: string;
  /** File for the agent's own messages. */
  readonly logFile: string;
}

export interface AgentProcess {
  readonly pid: number;
  readonly exited: Promise<number>;
  close(): Promise<void>;
}

export type AgentResult =
  | { readonly ok: true; readonly agent: AgentProcess }
  | { readonly ok: false; readonly message: string };

const READY_MS_MAX = 20_000;
const STOP_MS_MAX = 15_000;
const MAIN = fileURLToPath(new URL(`./main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url));

/** Starts the node agent inside the node's network namespace; resolves when it runs pods. */
export async function startAgentProcess(options: AgentProcessOptions): Promise<AgentResult> {
  const { names } = options;
  const log = openSync(options.logFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    // A child is born in the network namespace of the thread that forks it.
    child = inNetworkNamespace(`${NETNS_ROOT}/${names.nodeNamespace}`, () =>
      spawn(
        process.execPath,
        [
          '--experimental-ffi',
          '--disable-warning=ExperimentalWarning',
          MAIN,
          ...['--kubeconfig', options.kubeconfigPath, '--mesh', names.mesh, '--slot', String(names.slot)],
          ...['--project', options.projectRoot, '--logs', options.logsRoot, '--images', options.imagesFile],
          ...['--cluster-domain', options.clusterDomain, '--resolver', options.resolverSocket, '--exit-with-stdin'],
        ],
        // A session of its own: Ctrl-C is for the starter, which then stops the agent in order.
        { stdio: ['pipe', 'pipe', log], detached: true, env: { ...process.env, WEFT_MESH: names.mesh } },
      ),
    );
  } finally {
    closeSync(log);
  }
  const exited = new Promise<number>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('exit', (code) => resolve(code ?? -1));
  });
  child.stdin?.on('error', () => {});
  const ready = await waitForReady(child, exited);
  if (!ready || child.pid === undefined) {
    child.kill('SIGKILL');
    return { ok: false, message: `the node agent did not start; see ${options.logFile}` };
  }
  return {
    ok: true,
    agent: {
      pid: child.pid,
      exited,
      close: async () => {
        child.stdin?.end();
        child.kill('SIGTERM');
        const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
        await exited;
        clearTimeout(timer);
      },
    },
  };
}

function waitForReady(child: ChildProcess, exited: Promise<number>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), READY_MS_MAX);
    const finish = (ready: boolean): void => {
      clearTimeout(timer);
      resolve(ready);
    };
    void exited.then(() => finish(false));
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.toString('utf8').includes('ready')) finish(true);
    });
  });
}
