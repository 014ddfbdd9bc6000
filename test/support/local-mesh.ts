import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKubeClient, type KubeClient } from '@weft/local/client/client';
import { parseKubeconfig } from '@weft/local/client/kubeconfig';
import type { Pod } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { podNamespace } from '@weft/local/node/names';
import { type RunningMesh, upMesh } from '@weft/local/up';

/** A mesh of a test's own, in a folder of its own, and what tests do with it. */
export interface TestMesh {
  readonly mesh: RunningMesh;
  readonly client: KubeClient;
  readonly errors: string[];
  kubectl(args: readonly string[], input?: string): Promise<CommandOutput>;
  apply(...objects: readonly unknown[]): Promise<void>;
  pod(name: string, namespace?: string): Promise<Pod | undefined>;
  podReady(name: string, namespace?: string): Promise<Pod>;
  logs(name: string, container?: string): Promise<string>;
  /** Runs a program in the pod's network, with the pod's name servers left aside. */
  inPod(pod: Pod, program: string, args: readonly string[]): Promise<CommandOutput>;
  close(): Promise<void>;
}

export interface CommandOutput {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export function run(
  program: string,
  args: readonly string[],
  input = '',
  env: NodeJS.ProcessEnv = process.env,
): Promise<CommandOutput> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      [...args],
      { timeout: 60_000, maxBuffer: 16 << 20, env },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** Waits until `look` gives a value, looking again every 50 ms; the bound makes a failing test fail and not hang. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined> | T | undefined,
  waitMsMax = 20_000,
): Promise<T> {
  const deadline = performance.now() + waitMsMax;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() > deadline) throw new Error(`not within ${waitMsMax} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function isReady(pod: Pod | undefined): boolean {
  return pod?.status?.conditions?.some((item) => item.type === 'Ready' && item.status === 'True') ?? false;
}

export async function startTestMesh(name: string): Promise<TestMesh> {
  const directory = mkdtempSync(join(tmpdir(), `weft-${name}-`));
  const errors: string[] = [];
  let mesh: RunningMesh;
  try {
    mesh = await upMesh({ mesh: name, weftDir: directory, onError: (message) => errors.push(message) });
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  const connection = parseKubeconfig(mesh.adminKubeconfig);
  if (!connection.ok) throw new Error(connection.message);
  const client = createKubeClient(connection.connection, 'weft-test');
  const kubectl = (args: readonly string[], input?: string): Promise<CommandOutput> =>
    run('kubectl', ['--kubeconfig', mesh.kubeconfigPath, ...args], input, { ...process.env, HOME: directory });
  const pod = async (podName: string, namespace = 'default'): Promise<Pod | undefined> => {
    const got = await client.get<Pod>(paths.core('pods', namespace, podName));
    return got.ok ? got.value : undefined;
  };
  return {
    mesh,
    client,
    errors,
    kubectl,
    pod,
    apply: async (...objects) => {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      const applied = await kubectl(['apply', '-f', '-'], list);
      if (applied.code !== 0) throw new Error(`kubectl apply: ${applied.stderr}`);
    },
    podReady: (podName, namespace) =>
      until(`pod ${podName} is ready`, async () => {
        const got = await pod(podName, namespace);
        return got !== undefined && isReady(got) ? got : undefined;
      }),
    logs: async (podName, container) => {
      const args = ['logs', podName, ...(container === undefined ? [] : ['-c', container])];
      return (await kubectl(args)).stdout;
    },
    inPod: (target, program, args) =>
      run('ip', ['netns', 'exec', podNamespace(mesh.names, target.metadata.uid ?? ''), program, ...args]),
    close: async () => {
      client.close();
      await mesh.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
