import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '@weft/policies/kit/error-text';
import { isConflict, isNotFound, type KubeClient } from '../client/client.ts';
import type { Container, ContainerStatus, Pod } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import type { ContainerFactory } from './container-factory.ts';
import { ContainerRunner, type RestartPolicy, type RunOutcome, withinMs } from './container-runner.ts';
import type { ObjectLookup } from './env.ts';
import type { EventSink, EventType } from './events.ts';
import type { PodNetworks } from './network.ts';
import { Pause } from './pause.ts';
import type { PodFacts } from './status.ts';
import { StatusWriter } from './status-writer.ts';
import { PodVolumes } from './volumes/pod-volumes.ts';
import { PodTokens } from './volumes/tokens.ts';

export interface PodWorkerPorts {
  readonly client: KubeClient;
  readonly networks: PodNetworks;
  readonly factory: ContainerFactory;
  readonly objects: ObjectLookup;
  readonly events: EventSink;
  readonly hostIps: readonly string[];
  readonly podsRoot: string;
  readonly onError: (message: string) => void;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;
const GRACE_SECONDS_DEFAULT = 30;
const KILL_MARGIN_MS = 8_000;

/** One pod from its binding to its removal from the API. */
export class PodWorker {
  readonly uid: string;
  readonly #ports: PodWorkerPorts;
  readonly #volumes: PodVolumes;
  readonly #startTime: string;
  readonly #inits: ContainerRunner[];
  readonly #apps: ContainerRunner[];
  #pod: Pod;
  #podIps: readonly string[] = [];
  #namespacePath = '';
  #initialized = false;
  #finished: 'Succeeded' | 'Failed' | undefined;
  #reason: string | undefined;
  #message: string | undefined;
  #terminating: Promise<void> | undefined;
  #deadline = Number.POSITIVE_INFINITY;
  #stopped = false;
  readonly #pause = new Pause();
  readonly #status: StatusWriter;
  readonly #setup: Promise<void>;
  #markDone: () => void = () => {};
  /** Resolves when nothing of the pod is left on this node and the API knows. */
  readonly done: Promise<void>;

  constructor(pod: Pod, ports: PodWorkerPorts) {
    this.#pod = pod;
    this.#ports = ports;
    this.uid = pod.metadata.uid ?? '';
    this.#startTime = pod.status?.startTime ?? now();
    this.#volumes = new PodVolumes(this.#directory, ports.objects, new PodTokens(ports.client));
    this.#status = new StatusWriter({
      client: ports.client,
      pod: () => this.#pod,
      facts: () => this.#facts(),
      // Transition times stay as written even before the watch brings them back.
      written: (status) => {
        this.#pod = { ...this.#pod, status };
      },
      onError: ports.onError,
    });
    this.done = new Promise((resolve) => {
      this.#markDone = resolve;
    });
    this.#inits = (pod.spec.initContainers ?? []).map((container) =>
      this.#runner(
        container,
        container.restartPolicy === 'Always' ? 'sidecar' : 'init',
        pod.status?.initContainerStatuses,
      ),
    );
    this.#apps = pod.spec.containers.map((container) => this.#runner(container, 'app', pod.status?.containerStatuses));
    this.#setup = this.#run();
    if (pod.metadata.deletionTimestamp !== undefined) this.update(pod);
  }

  get #directory(): string {
    return join(this.#ports.podsRoot, this.uid);
  }
  get #addresses(): { readonly podIps: readonly string[]; readonly hostIps: readonly string[] } {
    return { podIps: this.#podIps, hostIps: this.#ports.hostIps };
  }

  #runner(
    container: Container,
    role: 'init' | 'sidecar' | 'app',
    before: readonly ContainerStatus[] | undefined,
  ): ContainerRunner {
    return new ContainerRunner(
      container,
      role,
      restartPolicyOf(this.#pod),
      {
        podIp: () => this.#podIps[0] ?? '127.0.0.1',
        graceSeconds: () => this.#graceSeconds,
        changed: () => this.#status.soon(),
        event: (type, reason, message) => this.#event(type, reason, message),
        start: (item, restartCount) =>
          this.#ports.factory.start(
            {
              pod: this.#pod,
              addresses: this.#addresses,
              networkNamespace: this.#namespacePath,
              volumes: this.#volumes,
            },
            item,
            restartCount,
          ),
        exec: (_item, pid, argv, timeoutMs) => this.#ports.factory.exec(pid, argv, timeoutMs),
      },
      before?.find((status) => status.name === container.name),
    );
  }

  #event(type: EventType, reason: string, message: string): void {
    this.#ports.events.event({ ...this.#pod, kind: 'Pod', apiVersion: 'v1' }, type, reason, message);
  }

  /** A newer version of the pod: labels for downward volumes, gates for readiness, and above all the wish to end. */
  update(pod: Pod): void {
    this.#pod = pod;
    const deletion = pod.metadata.deletionTimestamp;
    if (deletion !== undefined) {
      const seconds =
        pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT;
      this.#terminate(seconds);
    } else {
      this.refreshVolumes();
      this.#status.soon();
    }
  }

  /** The pod is gone from the API without our help: deleted by force. */
  forget(): void {
    this.#terminate(0);
  }

  refreshVolumes(): void {
    if (this.#stopped || this.#podIps.length === 0) return;
    void this.#volumes.update(this.#pod, this.#addresses).then((result) => {
      if (!result.ok) this.#event('Warning', 'FailedMount', result.message);
    });
  }

  async #run(): Promise<void> {
    // Nothing runs twice: a pod that has ended stays ended over restarts of the agent.
    const phase = this.#pod.status?.phase;
    if (phase === 'Succeeded' || phase === 'Failed') {
      this.#finished = phase;
      return;
    }
    if (restartPolicyOf(this.#pod) === 'Never' && ranBefore(this.#pod)) {
      return this.#finish('Failed', 'ContainerStatusUnknown', 'the node agent restarted while the pod was running');
    }
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    if (!(await this.#prepare())) return;
    this.#status.soon();
    if (!(await this.#runInits())) return;
    this.#initialized = true;
    this.#status.soon();
    if (this.#stopped) return;
    const outcomes = await Promise.all(this.#apps.map((runner) => runner.run()));
    if (this.#stopped) return;
    await this.#stopSidecars(performance.now() + this.#graceSeconds * 1000);
    this.#finish(outcomes.includes('failed') ? 'Failed' : 'Succeeded');
  }

  get #graceSeconds(): number {
    return this.#pod.spec.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT;
  }

  #finish(phase: 'Succeeded' | 'Failed', reason?: string, message?: string): void {
    this.#finished = phase;
    this.#reason = reason;
    this.#message = message;
    this.#status.soon();
  }

  /** Network and volumes, tried until they work or the pod is to end. */
  async #prepare(): Promise<boolean> {
    if (
      await this.#retry(
        () => this.#ports.networks.create(this.uid),
        'FailedCreatePodSandBox',
        (result) => {
          this.#podIps = result.network.ips;
          this.#namespacePath = result.network.namespacePath;
        },
      )
    ) {
      return this.#retry(
        () => this.#volumes.update(this.#pod, this.#addresses),
        'FailedMount',
        () => {},
      );
    }
    return false;
  }

  async #retry<T extends { readonly ok: true }>(
    work: () => Promise<T | { readonly ok: false; readonly message: string }>,
    reason: string,
    then: (result: T) => void,
  ): Promise<boolean> {
    for (let waitMs = RETRY_MS_MIN; !this.#stopped; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      const result = await work();
      if (result.ok) {
        then(result);
        return true;
      }
      // The first tries often only meet an object that is just being made.
      if (waitMs > RETRY_MS_MIN * 4) this.#event('Warning', reason, result.message);
      await this.#pause.wait(waitMs);
    }
    return false;
  }

  /** Init containers one by one; a native sidecar only has to have started before the next one. */
  async #runInits(): Promise<boolean> {
    for (const runner of this.#inits) {
      if (this.#stopped) return false;
      if (runner.role === 'sidecar') {
        void runner.run();
        await Promise.race([runner.startedOnce, this.#whenStopped]);
        continue;
      }
      const outcome: RunOutcome = await runner.run();
      if (outcome === 'stopped') return false;
      if (outcome === 'failed') {
        await this.#stopSidecars(performance.now() + this.#graceSeconds * 1000);
        this.#finish('Failed', 'Init', `init container ${runner.container.name} failed`);
        return false;
      }
    }
    return !this.#stopped;
  }

  #markStopped: () => void = () => {};
  readonly #whenStopped = new Promise<void>((resolve) => {
    this.#markStopped = resolve;
  });

  /** Sidecars end after the application, the last started first. */
  async #stopSidecars(deadline: number, after?: Promise<unknown>): Promise<void> {
    let turn: Promise<unknown> | undefined = after;
    const stops: Promise<void>[] = [];
    for (const runner of [...this.#inits].reverse()) {
      if (runner.role !== 'sidecar') continue;
      const stop = runner.stop(deadline, turn);
      stops.push(stop);
      turn = turn === undefined ? stop : Promise.all([turn, stop]);
    }
    await Promise.all(stops);
  }

  #terminate(graceSeconds: number): void {
    const deadline = performance.now() + graceSeconds * 1000;
    // Grace can only be shortened (Kubernetes API, DeleteOptions).
    if (deadline < this.#deadline) {
      this.#deadline = deadline;
      if (this.#terminating !== undefined) {
        setTimeout(() => void this.#killAll(), Math.max(0, graceSeconds * 1000) + KILL_MARGIN_MS / 4).unref();
      }
    }
    this.#terminating ??= this.#end(graceSeconds);
  }

  async #killAll(): Promise<void> {
    await Promise.all([...this.#inits, ...this.#apps].map((runner) => runner.killNow()));
  }

  async #end(graceSeconds: number): Promise<void> {
    this.#stopped = true;
    this.#markStopped();
    this.#pause.end();
    const apps = Promise.all([
      ...this.#apps.map((runner) => runner.stop(this.#deadline)),
      ...this.#inits.filter((runner) => runner.role === 'init').map((runner) => runner.stop(this.#deadline)),
    ]);
    const all = Promise.all([apps, this.#stopSidecars(this.#deadline, apps)]);
    // Whatever a stop waits for, the processes end soon after the grace.
    if ((await withinMs(all, graceSeconds * 1000 + KILL_MARGIN_MS)) === undefined) await this.#killAll();
    await withinMs(this.#setup, KILL_MARGIN_MS);
    if (this.#initialized && this.#finished === undefined) {
      const failed = this.#apps.some((runner) => (runner.status().state.terminated?.exitCode ?? 0) !== 0);
      this.#finished = failed ? 'Failed' : 'Succeeded';
    }
    await this.#cleanUp();
    await this.#removeFromApi();
    this.#markDone();
  }

  async #cleanUp(): Promise<void> {
    this.#volumes.close();
    await this.#ports.networks.remove(this.uid);
    try {
      rmSync(this.#directory, { recursive: true, force: true });
    } catch (error) {
      this.#ports.onError(`pod ${this.#pod.metadata.name}: ${errorText(error)}`);
    }
  }

  async #removeFromApi(): Promise<void> {
    const { namespace, name } = this.#pod.metadata;
    await this.#status.now();
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(waitMs * 2, RETRY_MS_MAX)) {
      const removed = await this.#ports.client.remove(paths.core('pods', namespace, name), {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        gracePeriodSeconds: 0,
        preconditions: { uid: this.uid },
      });
      if (removed.ok || isNotFound(removed) || isConflict(removed)) return;
      this.#ports.onError(`delete pod ${namespace}/${name}: ${removed.message}`);
      if (this.#closing) return;
      await this.#pause.wait(waitMs);
    }
  }

  #closing = false;

  /** The agent goes: everything is killed at once, the API keeps the pod for the next agent. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#status.close();
    this.#stopped = true;
    this.#markStopped();
    this.#pause.end();
    await this.#killAll();
    await withinMs(this.#setup, 1_000);
    await this.#cleanUp();
  }

  #facts(): PodFacts {
    return {
      addresses: this.#addresses,
      networkReady: this.#podIps.length > 0,
      initStatuses: this.#inits.map((runner) => runner.status()),
      statuses: this.#apps.map((runner) => runner.status()),
      initialized: this.#initialized,
      finished: this.#finished,
      startTime: this.#startTime,
      now: now(),
      ...(this.#reason === undefined ? {} : { reason: this.#reason }),
      ...(this.#message === undefined ? {} : { message: this.#message }),
    };
  }
}

function restartPolicyOf(pod: Pod): RestartPolicy {
  const policy = pod.spec.restartPolicy;
  return policy === 'Never' || policy === 'OnFailure' ? policy : 'Always';
}

function ranBefore(pod: Pod): boolean {
  return (pod.status?.containerStatuses ?? []).some((status) => status.state.running !== undefined);
}

function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
