import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import type { Container, Pod } from '../client/objects.ts';
import { findImage, type Image, loadImages, missingImageMessage } from '../images/images.ts';
import type { StartResult } from './container-runner.ts';
import { containerEnv, expand, type ObjectLookup } from './env.ts';
import type { PodAddresses } from './fields.ts';
import {
  type Bind,
  DEFAULT_PATH,
  type LaunchPlan,
  NODE_IN_CONTAINER,
  PROJECT_IN_CONTAINER,
  type ProcessPlan,
} from './launch-plan.ts';
import { LogFile } from './log-file.ts';
import { hostsFile, podHostname, resolvConf } from './resolv-conf.ts';
import { type ExecResult, execInContainer, launchContainer } from './runtime.ts';
import { type AgentSettings, podsRoot } from './settings.ts';
import { containerUser, refusedUser } from './users.ts';
import type { PodVolumes } from './volumes/pod-volumes.ts';

interface PodPlace {
  readonly pod: Pod;
  readonly addresses: PodAddresses;
  readonly networkNamespace: string;
  readonly volumes: PodVolumes;
}

type Built<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: string; readonly message: string };

const refuse = (
  reason: string,
  message: string,
): { readonly ok: false; readonly reason: string; readonly message: string } => ({
  ok: false,
  reason,
  message,
});

/** File systems of their own that programs need besides `/`: an overlay does not reach into mounts below its lower layer. */
function hostMounts(mountinfo: string): string[] {
  const wanted = /^\/(usr|lib|lib64|bin|sbin|opt|etc|var|home|nix)(\/|$)/;
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => wanted.test(path) && !/^\/var\/(run|tmp|lib\/(docker|containers?|kubelet))/.test(path))
    .filter((path) => !path.includes('\\'));
}

/** Turns a container of a pod into a launch plan and runs it. */
export class ContainerFactory {
  readonly #settings: AgentSettings;
  readonly #objects: ObjectLookup;
  readonly #execPlans = new Map<number, ProcessPlan>();

  constructor(settings: AgentSettings, objects: ObjectLookup) {
    this.#settings = settings;
    this.#objects = objects;
  }

  #fill(text: string): string {
    return text.replaceAll('{node}', NODE_IN_CONTAINER).replaceAll('{project}', PROJECT_IN_CONTAINER);
  }

  #image(reference: string): Built<Image> {
    // Read anew each time: the user adds the missing line and the next try finds it.
    const { table, problem } = loadImages(this.#settings.imagesFile);
    const image = findImage(table, reference);
    if (image !== undefined) return { ok: true, value: image };
    const hint = missingImageMessage(reference, this.#settings.imagesFile);
    return refuse('ErrImagePull', problem === undefined ? hint : `${hint} (now unreadable: ${problem})`);
  }

  #process(place: PodPlace, container: Container, image: Image): Built<ProcessPlan> {
    const namespace = place.pod.metadata.namespace ?? 'default';
    const kubernetes = this.#objects.serviceIp?.('default', 'kubernetes');
    const base: Record<string, string> = {
      PATH: DEFAULT_PATH,
      HOSTNAME: podHostname(place.pod),
      HOME: '/tmp',
      WEFT_MESH: this.#settings.names.mesh,
      ...(kubernetes === undefined
        ? {}
        : {
            KUBERNETES_SERVICE_HOST: kubernetes,
            KUBERNETES_SERVICE_PORT: '443',
            KUBERNETES_SERVICE_PORT_HTTPS: '443',
          }),
      ...image.env,
    };
    const env = containerEnv(place.pod, container, base, place.addresses, this.#objects);
    if (!env.ok) return refuse('CreateContainerConfigError', `${env.message} (namespace ${namespace})`);
    const entrypoint = container.command ?? image.entrypoint;
    // Kubernetes: `command` alone drops the image's cmd; `args` alone keeps its entrypoint.
    const args = container.args ?? (container.command === undefined ? image.cmd : []);
    const user = containerUser(place.pod, container);
    return {
      ok: true,
      value: {
        argv: [...entrypoint, ...args].map((word) => this.#fill(expand(word, env.env))),
        env: env.env,
        workingDir: container.workingDir ?? image.workingDir,
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        capabilities: user.capabilities,
        seccomp: user.seccomp,
      },
    };
  }

  #binds(place: PodPlace, container: Container, image: Image): Built<readonly Bind[]> {
    const volumes = place.volumes.binds(place.pod, container);
    if (!volumes.ok) return refuse('CreateContainerConfigError', volumes.message);
    const system = image.root === undefined ? hostMounts(readFileSync('/proc/self/mountinfo', 'utf8')) : [];
    return {
      ok: true,
      value: [
        ...system.map((path) => ({ source: path, target: path, readOnly: true })),
        { source: this.#settings.projectRoot, target: PROJECT_IN_CONTAINER, readOnly: true },
        { source: process.execPath, target: NODE_IN_CONTAINER, readOnly: true },
        ...volumes.binds,
      ],
    };
  }

  #directory(pod: Pod, container: Container): string {
    return join(podsRoot(this.#settings), pod.metadata.uid ?? '', 'containers', container.name);
  }

  #logPath(pod: Pod, container: Container, restartCount: number): string {
    const folder = `${pod.metadata.namespace}_${pod.metadata.name}_${pod.metadata.uid}`;
    return join(this.#settings.logsRoot, folder, container.name, `${restartCount}.log`);
  }

  async start(place: PodPlace, container: Container, restartCount: number): Promise<StartResult> {
    try {
      return await this.#start(place, container, restartCount);
    } catch (error) {
      // A full disk, above all: tried again like any other reason.
      return refuse('CreateContainerError', errorText(error));
    }
  }

  async #start(place: PodPlace, container: Container, restartCount: number): Promise<StartResult> {
    const { pod } = place;
    const image = this.#image(container.image);
    if (!image.ok) return image;
    const refused = refusedUser(pod, container);
    if (refused !== undefined) return refuse('CreateContainerConfigError', refused);
    const process = this.#process(place, container, image.value);
    if (!process.ok) return process;
    const binds = this.#binds(place, container, image.value);
    if (!binds.ok) return binds;
    const directory = this.#directory(pod, container);
    const scratch = join(directory, String(restartCount));
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(scratch, { recursive: true, mode: 0o755 });
    const { names, clusterDomain } = this.#settings;
    const plan: LaunchPlan = {
      kind: 'container',
      networkNamespace: place.networkNamespace,
      lowerRoot: image.value.root ?? '/',
      scratch,
      hostname: podHostname(pod),
      files: [
        { path: '/etc/resolv.conf', content: resolvConf(pod, names.bridgeIps, clusterDomain) },
        { path: '/etc/hosts', content: hostsFile(pod, place.addresses.podIps, clusterDomain) },
        { path: '/etc/hostname', content: `${podHostname(pod)}\n` },
      ],
      binds: binds.value,
      tmpfs: image.value.tmpfs,
      readOnlyRoot: container.securityContext?.readOnlyRootFilesystem === true,
      process: process.value,
    };
    const log = new LogFile(this.#logPath(pod, container, restartCount));
    const launched = await launchContainer(plan, join(directory, 'plan.json'), log);
    if (!launched.ok) {
      await log.close();
      return refuse('RunContainerError', launched.message);
    }
    const { pid } = launched.container;
    this.#execPlans.set(pid, process.value);
    return {
      ok: true,
      container: launched.container,
      closeLog: async () => {
        this.#execPlans.delete(pid);
        await log.close();
      },
    };
  }

  async exec(pid: number, argv: readonly string[], timeoutMs: number): Promise<ExecResult> {
    const process = this.#execPlans.get(pid);
    if (process === undefined) return { exitCode: 126, output: 'container is not running', timedOut: false };
    return execInContainer({ kind: 'exec', targetPid: pid, process: { ...process, argv } }, timeoutMs);
  }
}
