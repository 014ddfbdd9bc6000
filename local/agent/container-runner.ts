import type { Container, ContainerState, ContainerStatus } from '../client/objects.ts';
import { ContainerProbes } from './container-probes.ts';
import type { EventType } from './events.ts';
import { type HandlerResult, type HandlerTarget, runHandler } from './handlers.ts';
import { Pause } from './pause.ts';
import type { ExecResult, ExitStatus, RunningContainer } from './runtime.ts';
import { catchesSigterm } from './signals.ts';

export type ContainerRole = 'init' | 'sidecar' | 'app';
export type RestartPolicy = 'Always' | 'OnFailure' | 'Never';
export type RunOutcome = 'succeeded' | 'failed' | 'stopped';

export type StartResult =
  | { readonly ok: true; readonly container: RunningContainer; readonly closeLog: () => Promise<void> }
  | { readonly ok: false; readonly reason: string; readonly message: string };

interface RunnerPorts {
  readonly podIp: () => string;
  /** The pod's grace; a probe may bring its own. */
  readonly graceSeconds: () => number;
  start(container: Container, restartCount: number): Promise<StartResult>;
  exec(container: Container, pid: number, argv: readonly string[], timeoutMs: number): Promise<ExecResult>;
  changed(): void;
  event(type: EventType, reason: string, message: string): void;
}

/** Kubelet waits 10 s to 5 min; on a laptop a second chance should not take that long. */
const BACKOFF_MS_MIN = 1_000;
const BACKOFF_MS_MAX = 30_000;
/** After this long a run counts as healthy and the pause starts small again. */
const HEALTHY_RUN_MS = 60_000;
const START_RETRY_MS_MIN = 500;
const START_RETRY_MS_MAX = 15_000;
/** Even with no grace left a program gets this long between SIGTERM and SIGKILL, as in kubelet. */
const GRACE_MS_MIN = 2_000;
const HANDLER_POLL_MS = 100;
const HOOK_MS_MAX = 60_000;
const KILL_WAIT_MS_MAX = 5_000;

/** One container of a pod through all its runs: start, probes, restarts with a growing pause, stop. */
export class ContainerRunner {
  readonly container: Container;
  readonly role: ContainerRole;
  readonly #policy: RestartPolicy;
  readonly #ports: RunnerPorts;
  readonly #probes: ContainerProbes;
  #state: ContainerState = { waiting: { reason: 'PodInitializing' } };
  #lastState: ContainerState;
  #restartCount: number;
  #runs = 0;
  #started = false;
  #ready = false;
  #current: RunningContainer | undefined;
  #starting: Promise<unknown> | undefined;
  #stopping = false;
  readonly #pause = new Pause();
  #markStarted: () => void = () => {};
  /** Resolves when the container has started once, by its startup probe if it has one. */
  readonly startedOnce: Promise<void>;
  #failuresInRow = 0;
  #killedByProbe = false;

  constructor(
    container: Container,
    role: ContainerRole,
    policy: RestartPolicy,
    ports: RunnerPorts,
    previous?: ContainerStatus,
  ) {
    this.container = container;
    this.role = role;
    this.#policy = policy;
    this.#ports = ports;
    // A container that a former agent ran counts on: log files are named by this number.
    const ranBefore = previous?.state.running !== undefined || previous?.state.terminated !== undefined;
    this.#restartCount = (previous?.restartCount ?? 0) + (ranBefore ? 1 : 0);
    this.#lastState =
      previous?.state.terminated === undefined
        ? (previous?.lastState ?? {})
        : { terminated: previous.state.terminated };
    this.startedOnce = new Promise((resolve) => {
      this.#markStarted = resolve;
    });
    this.#probes = new ContainerProbes(container, role, {
      run: (handler, timeoutMs) => runHandler(handler, this.#target(), timeoutMs),
      started: () => this.#onStarted(),
      ready: (ready) => this.#setReady(ready),
      failed: (kind, message) => ports.event('Warning', 'Unhealthy', `${kind} probe failed: ${message}`),
      kill: (kind, message) => void this.#killUnhealthy(kind, message),
    });
  }

  get isRunning(): boolean {
    return this.#current !== undefined;
  }

  status(): ContainerStatus {
    const terminated = this.#state.terminated;
    return {
      name: this.container.name,
      image: this.container.image,
      imageID: this.container.image,
      ready: this.role === 'init' ? terminated?.exitCode === 0 : this.#ready,
      started: this.role === 'init' ? false : this.#started,
      restartCount: this.#restartCount,
      state: this.#state,
      lastState: this.#lastState,
      ...(this.#current === undefined ? {} : { containerID: `process://${this.#current.pid}` }),
    };
  }

  #setState(state: ContainerState): void {
    this.#state = state;
    this.#ports.changed();
  }
  #setReady(ready: boolean): void {
    if (this.#ready === ready) return;
    this.#ready = ready;
    this.#ports.changed();
  }
  #onStarted(): void {
    this.#started = true;
    this.#markStarted();
    this.#ports.changed();
  }

  #target(): HandlerTarget {
    return {
      podIp: this.#ports.podIp(),
      container: this.container,
      exec: async (argv, timeoutMs) => {
        const pid = this.#current?.pid;
        if (pid === undefined) return { exitCode: 126, output: 'container is not running', timedOut: false };
        return this.#ports.exec(this.container, pid, argv, timeoutMs);
      },
    };
  }

  /** Runs until the container has ended for good: by its own exit and the policy, or by stop(). */
  async run(): Promise<RunOutcome> {
    let startFailures = 0;
    while (!this.#stopping) {
      const starting = this.#startOnce();
      this.#starting = starting;
      const started = await starting;
      this.#starting = undefined;
      if (!started.ok) {
        if (this.#stopping) break;
        startFailures += 1;
        const pauseMs = Math.min(START_RETRY_MS_MIN * 2 ** (startFailures - 1), START_RETRY_MS_MAX);
        if (started.reason === 'ErrImagePull')
          this.#setState({ waiting: { reason: 'ImagePullBackOff', message: started.message } });
        await this.#sleep(pauseMs);
        continue;
      }
      startFailures = 0;
      const exit = await this.#superviseRun(started.container, started.closeLog);
      if (this.#stopping) break;
      const succeeded = exit.exitCode === 0;
      if (this.role !== 'sidecar' && this.#isFinal(succeeded)) return succeeded ? 'succeeded' : 'failed';
      await this.#pauseBeforeRestart();
    }
    return 'stopped';
  }

  #isFinal(succeeded: boolean): boolean {
    if (this.role === 'init') return succeeded || this.#policy === 'Never';
    return this.#policy === 'Never' || (this.#policy === 'OnFailure' && succeeded);
  }

  async #startOnce(): Promise<StartResult> {
    if (this.#state.terminated !== undefined) this.#lastState = { terminated: this.#state.terminated };
    if (this.#runs > 0) this.#restartCount += 1;
    if (this.#state.waiting?.reason !== 'ImagePullBackOff')
      this.#setState({ waiting: { reason: 'ContainerCreating' } });
    const started = await this.#ports.start(this.container, this.#restartCount);
    if (started.ok) {
      this.#runs += 1;
      return started;
    }
    this.#setState({ waiting: { reason: started.reason, message: started.message } });
    this.#ports.event('Warning', started.reason === 'ErrImagePull' ? 'Failed' : started.reason, started.message);
    return started;
  }

  async #superviseRun(container: RunningContainer, closeLog: () => Promise<void>): Promise<ExitStatus> {
    this.#current = container;
    this.#killedByProbe = false;
    this.#setState({ running: { startedAt: wholeSeconds(container.startedAt) } });
    this.#ports.event('Normal', 'Started', `Started container ${this.container.name}`);
    const startedAt = performance.now();
    void this.#afterStart(container);
    const exit = await container.exited;
    this.#probes.stop();
    this.#current = undefined;
    await closeLog();
    this.#ready = false;
    this.#started = false;
    const healthyRun = performance.now() - startedAt >= HEALTHY_RUN_MS;
    this.#failuresInRow = healthyRun ? 0 : this.#failuresInRow + 1;
    this.#setState({
      terminated: {
        exitCode: exit.exitCode,
        reason: exit.exitCode === 0 ? 'Completed' : 'Error',
        startedAt: wholeSeconds(container.startedAt),
        finishedAt: wholeSeconds(new Date().toISOString()),
        containerID: `process://${container.pid}`,
        ...(exit.signal === undefined ? {} : { signal: exit.signal }),
      },
    });
    return exit;
  }

  /** postStart runs beside the program; probes begin after it, and its failure ends the container. */
  async #afterStart(container: RunningContainer): Promise<void> {
    const hook = this.container.lifecycle?.postStart;
    if (hook !== undefined) {
      const result = await runHandler(hook, this.#target(), HOOK_MS_MAX);
      if (this.#current !== container) return;
      if (!result.ok) {
        this.#ports.event('Warning', 'FailedPostStartHook', result.message);
        container.signal('SIGKILL');
        return;
      }
    }
    if (this.#current === container && !this.#stopping) this.#probes.start();
  }

  async #killUnhealthy(kind: string, message: string): Promise<void> {
    const container = this.#current;
    if (container === undefined || this.#killedByProbe || this.#stopping) return;
    this.#killedByProbe = true;
    this.#ports.event(
      'Normal',
      'Killing',
      `Container ${this.container.name} failed ${kind} probe (${message}), will be restarted`,
    );
    const probe = kind === 'startup' ? this.container.startupProbe : this.container.livenessProbe;
    const seconds = probe?.terminationGracePeriodSeconds ?? this.#ports.graceSeconds();
    await this.#terminate(container, performance.now() + seconds * 1000, undefined);
  }

  async #pauseBeforeRestart(): Promise<void> {
    // The first restart comes at once, as in kubelet.
    if (this.#failuresInRow <= 1) return;
    const pauseMs = Math.min(BACKOFF_MS_MIN * 2 ** (this.#failuresInRow - 2), BACKOFF_MS_MAX);
    if (this.#state.terminated !== undefined) this.#lastState = { terminated: this.#state.terminated };
    const message = `back-off ${pauseMs / 1000}s restarting failed container=${this.container.name}`;
    this.#setState({ waiting: { reason: 'CrashLoopBackOff', message } });
    this.#ports.event('Warning', 'BackOff', message);
    await this.#sleep(pauseMs);
  }

  #sleep(ms: number): Promise<void> {
    return this.#stopping ? Promise.resolve() : this.#pause.wait(ms);
  }

  /**
   * Stops for good. `deadline` is when the pod's grace ends; `turn` resolves when containers that must go first are gone.
   * The preStop hook does not wait for its turn: kubelet runs all hooks at once.
   */
  async stop(deadline: number, turn?: Promise<unknown>): Promise<void> {
    this.#stopping = true;
    this.#pause.end();
    this.#probes.stop();
    await this.#starting;
    // The run loop takes over a container that was being started in its own turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    const container = this.#current;
    if (container === undefined) return;
    this.#ports.event('Normal', 'Killing', `Stopping container ${this.container.name}`);
    await this.#terminate(container, deadline, turn);
  }

  async #terminate(container: RunningContainer, deadline: number, turn: Promise<unknown> | undefined): Promise<void> {
    const leftMs = (): number => Math.max(0, deadline - performance.now());
    const gone = container.exited.then((): true => true);
    const hook = this.container.lifecycle?.preStop;
    if (hook !== undefined && leftMs() > 0) {
      const result: HandlerResult | true = await Promise.race([runHandler(hook, this.#target(), leftMs()), gone]);
      if (result !== true && !result.ok) this.#ports.event('Warning', 'FailedPreStopHook', result.message);
    }
    if (turn !== undefined) await withinMs(Promise.race([turn, gone]), leftMs());
    if (this.#current !== container) return;
    void this.#sendTerm(container, gone);
    if ((await withinMs(gone, Math.max(leftMs(), GRACE_MS_MIN))) !== true) {
      container.signal('SIGKILL');
      await withinMs(gone, KILL_WAIT_MS_MAX);
    }
  }

  /**
   * Process 1 of a PID namespace gets no signal that it has no handler for (pid_namespaces(7)), and Node's own first handler only restores
   * the default: what is still starting would miss its SIGTERM and cost the whole grace period. So it is sent again when a handler appears
   * in a process that had none after the signal, and only then: one that listens from the start hears it once.
   */
  async #sendTerm(container: RunningContainer, gone: Promise<true>): Promise<void> {
    const isOver = async (): Promise<boolean> =>
      (await withinMs(gone, HANDLER_POLL_MS)) === true || this.#current !== container;
    for (;;) {
      container.signal('SIGTERM');
      if (await isOver()) return;
      if (catchesSigterm(container.pid) !== false) return;
      while (catchesSigterm(container.pid) === false) if (await isOver()) return;
    }
  }

  /** Without any grace: the agent itself is going, or the pod was deleted by force. */
  async killNow(): Promise<void> {
    this.#stopping = true;
    this.#pause.end();
    this.#probes.stop();
    await this.#starting;
    await new Promise((resolve) => setImmediate(resolve));
    this.#current?.signal('SIGKILL');
    if (this.#current !== undefined) await withinMs(this.#current.exited, KILL_WAIT_MS_MAX);
  }
}

/** metav1.Time has whole seconds. */
function wholeSeconds(time: string): string {
  return time.replace(/\.\d+Z$/, 'Z');
}

/** The promise's value, or `undefined` when it takes longer. */
export async function withinMs<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), Math.min(ms, 2 ** 31 - 1));
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
