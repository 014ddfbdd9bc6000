import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { errorText } from '@weft/policies/kit/error-text';
import { startAgentProcess } from './agent/process.ts';
import { superviseAgent } from './agent/supervisor.ts';
import { controllersUser } from './api/auth/bootstrap-roles.ts';
import { startEmbeddedApi } from './api/server.ts';
import { startControllers } from './controllers/controllers.ts';
import { type Cleared, clearLeftovers } from './node/leftovers.ts';
import { checkMeshName, type MeshNames, meshNames, SLOT_COUNT } from './node/names.ts';
import { createNode } from './node/node.ts';
import { processRef } from './node/processes.ts';
import { startHostResolver } from './node/resolver.ts';
import { chooseSlot, isMeshRunning, viewSlots, withSlotLock } from './node/slots.ts';
import { writeMeshState } from './node/state.ts';

interface UpOptions {
  /** Default "weft". */
  readonly mesh?: string;
  /** Where `.weft/` is: the state of all meshes of this folder. Default: `.weft` in the current folder. */
  readonly weftDir?: string;
  /** API port; 0 (default) takes the one of the last start if free, else any. */
  readonly apiPort?: number;
  readonly clusterDomain?: string;
  /** One line for each step, for a progress display. */
  readonly onStep?: (step: string) => void;
  readonly onError?: (message: string) => void;
}

export interface RunningMesh {
  readonly names: MeshNames;
  readonly apiPort: number;
  readonly caPem: string;
  readonly dataDir: string;
  readonly logsDir: string;
  /** The user's: administrator over loopback. */
  readonly kubeconfigPath: string;
  readonly adminKubeconfig: string;
  /** Credentials of another user, for the same address. */
  kubeconfigFor(user: string, groups: readonly string[]): string;
  /** Of the agent that runs now: one that dies is replaced. */
  readonly agentPid: number;
  /** Resolves when a part ended by itself that should not have, and does not come back. */
  readonly failed: Promise<string>;
  close(): Promise<void>;
}

/** A reason that the user can do something about; thrown so that callers need not pass it through. */
export class UpError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UpError';
  }
}

const PROJECT_ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Undoes what was done, the last first; each step whatever the others do. */
class Undo {
  readonly #steps: (() => Promise<unknown> | unknown)[] = [];
  readonly #onError: (message: string) => void;

  constructor(onError: (message: string) => void) {
    this.#onError = onError;
  }
  add(step: () => Promise<unknown> | unknown): void {
    this.#steps.push(step);
  }
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      try {
        await step();
      } catch (error) {
        this.#onError(errorText(error));
      }
    }
  }
}

function checkPlatform(): void {
  if (process.platform !== 'linux') throw new UpError(`weft up runs on Linux, not on ${process.platform}`);
  if (process.getuid?.() !== 0) throw new UpError('weft up needs root: it makes network namespaces and mounts');
}

async function claimNode(mesh: string, dataDir: string): Promise<MeshNames> {
  if (isMeshRunning(mesh))
    throw new UpError(`mesh ${mesh} is running already; stop it, or choose another name with --mesh`);
  const cleared = await clearLeftovers(mesh);
  if (cleared.problems.length > 0)
    throw new UpError(`what an earlier mesh ${mesh} left cannot be cleared: ${cleared.problems.join('; ')}`);
  const self = processRef(process.pid);
  const slot = await withSlotLock(() => {
    const chosen = chooseSlot(viewSlots(mesh, formerSlot(dataDir)));
    if (chosen !== undefined)
      writeMeshState({ mesh, slot: chosen, dataDir, processes: self === undefined ? [] : [self] });
    return chosen;
  });
  if (slot === undefined) throw new UpError('all 16 slots are in use; `weft down` frees one');
  const named = meshNames(mesh, slot);
  if (!named.ok) throw new UpError(named.message);
  writeFileSync(join(dataDir, 'slot'), `${slot}\n`);
  const made = await createNode(named.names);
  if (!made.ok) throw new UpError(`the node namespace cannot be made: ${made.message}`);
  return named.names;
}

/** The slot of the last start: addresses that users have noted stay good while nobody else took them. */
function formerSlot(dataDir: string): number | undefined {
  try {
    const slot = Number(readFileSync(join(dataDir, 'slot'), 'utf8'));
    return Number.isInteger(slot) && slot >= 0 && slot < SLOT_COUNT ? slot : undefined;
  } catch {
    return undefined;
  }
}

/** The asked port, else the one of the last start while it is free: kubeconfigs that users copied stay good. */
async function apiPortFor(dataDir: string, asked: number): Promise<number> {
  if (asked !== 0) return asked;
  let former: number;
  try {
    former = Number(readFileSync(join(dataDir, 'api.port'), 'utf8'));
  } catch {
    return 0;
  }
  if (!Number.isInteger(former) || former < 1 || former > 65_535) return 0;
  return new Promise((done) => {
    const probe = createServer();
    probe.once('error', () => done(0));
    probe.listen({ host: '127.0.0.1', port: former }, () => probe.close(() => done(former)));
  });
}

function writePrivate(path: string, content: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content, { mode: 0o600 });
  chmodSync(path, 0o600);
}

/** Starts a whole local cluster: node, API, controllers and agent. */
export async function upMesh(options: UpOptions = {}): Promise<RunningMesh> {
  checkPlatform();
  const mesh = options.mesh ?? 'weft';
  const wrong = checkMeshName(mesh);
  if (wrong !== undefined) throw new UpError(wrong);
  const undo = new Undo(options.onError ?? (() => {}));
  try {
    return await start(mesh, options, undo);
  } catch (error) {
    await undo.run();
    throw error;
  }
}

async function start(mesh: string, options: UpOptions, undo: Undo): Promise<RunningMesh> {
  const onError = options.onError ?? (() => {});
  const onStep = options.onStep ?? (() => {});
  const weftDir = resolve(options.weftDir ?? '.weft');
  const dataDir = join(weftDir, mesh);
  const clusterDomain = options.clusterDomain ?? 'cluster.local';
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  undo.add(() => downMesh(mesh));
  onStep('node');
  const names = await claimNode(mesh, dataDir);
  const resolverSocket = `${names.runDirectory}/resolver.sock`;
  const resolver = await startHostResolver(resolverSocket);
  undo.add(() => resolver.close());

  onStep('API');
  const api = await startEmbeddedApi({
    dataDir,
    listen: [
      { host: '127.0.0.1', port: await apiPortFor(dataDir, options.apiPort ?? 0) },
      ...names.hostIps.map((host) => ({ host, port: 0 })),
    ],
    serviceCidrs: names.serviceCidrs,
    podCidrs: names.podCidrs,
    advertise: names.hostIps.map((ip) => ({ ip })),
    clusterDomain,
  });
  undo.add(() => api.close());
  writeFileSync(join(dataDir, 'api.port'), `${api.port}\n`);
  const nodeServer = `https://${names.hostIps[0]}:${api.port}`;
  const kubeconfigPath = join(weftDir, 'kubeconfig');
  const agentKubeconfigPath = join(dataDir, 'agent.kubeconfig');
  writePrivate(join(dataDir, 'kubeconfig'), api.adminKubeconfig);
  writePrivate(kubeconfigPath, api.adminKubeconfig);
  writePrivate(agentKubeconfigPath, api.kubeconfigFor(`system:node:${names.nodeName}`, ['system:nodes'], nodeServer));

  onStep('controllers and node agent');
  const controllers = startControllers({
    kubeconfig: api.kubeconfigFor(controllersUser, [], `https://127.0.0.1:${api.port}`),
    caPem: api.caPem,
    onError,
  });
  const logFile = join(dataDir, 'agent.log');
  const agent = await superviseAgent(
    () =>
      startAgentProcess({
        names,
        kubeconfigPath: agentKubeconfigPath,
        projectRoot: PROJECT_ROOT,
        logsRoot: join(dataDir, 'logs'),
        imagesFile: join(weftDir, 'images.json'),
        clusterDomain,
        resolverSocket,
        logFile,
      }),
    {
      started: (pid) => {
        const refs = [process.pid, pid].map(processRef).filter((ref) => ref !== undefined);
        writeMeshState({ mesh, slot: names.slot, dataDir, processes: refs });
      },
      report: (message) => onError(`${message}; see ${logFile}`),
    },
  );
  const running = await controllers;
  undo.add(() => running.close());
  if (!agent.ok) throw new UpError(agent.message);
  undo.add(() => agent.agent.close());
  let closing: Promise<void> | undefined;
  return {
    names,
    apiPort: api.port,
    caPem: api.caPem,
    dataDir,
    logsDir: join(dataDir, 'logs'),
    kubeconfigPath,
    adminKubeconfig: api.adminKubeconfig,
    kubeconfigFor: (user, groups) => api.kubeconfigFor(user, groups, `https://127.0.0.1:${api.port}`),
    get agentPid() {
      return agent.agent.pid;
    },
    failed: agent.agent.gaveUp.then((why) => `${why}; see ${logFile}`),
    close: () => {
      closing ??= undo.run();
      return closing;
    },
  };
}

/** Ends a mesh of this name, running or killed, and clears all that it left on this machine; its data stays. */
export function downMesh(mesh: string): Promise<Cleared> {
  return clearLeftovers(mesh);
}
