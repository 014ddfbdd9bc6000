import { Pause } from './pause.ts';
import type { AgentProcess, AgentResult } from './process.ts';

/**
 * Keeps a node agent running. Its containers die with it (prctl(2), PR_SET_PDEATHSIG), the next one clears what is left and starts the
 * pods anew: to their clients this is a node that was rebooted.
 */
interface SupervisedAgent {
  readonly pid: number;
  /** Resolves with the reason when restarting has not helped. */
  readonly gaveUp: Promise<string>;
  close(): Promise<void>;
}

interface SupervisorHooks {
  started(pid: number): void;
  report(message: string): void;
}

interface SupervisorLimits {
  readonly backoffMsMin: number;
  readonly backoffMsMax: number;
  /** An agent that ran this long was healthy: what comes after it is a new failure. */
  readonly healthyMs: number;
  readonly failuresInRowMax: number;
}

const DEFAULTS: SupervisorLimits = {
  backoffMsMin: 250,
  backoffMsMax: 10_000,
  healthyMs: 60_000,
  failuresInRowMax: 8,
};

type SupervisedResult =
  | { readonly ok: true; readonly agent: SupervisedAgent }
  | { readonly ok: false; readonly message: string };

/** Resolves with the first agent's success or failure; restarts begin after that. */
export async function superviseAgent(
  start: () => Promise<AgentResult>,
  hooks: SupervisorHooks,
  limits: SupervisorLimits = DEFAULTS,
): Promise<SupervisedResult> {
  const first = await start();
  if (!first.ok) return first;
  hooks.started(first.agent.pid);
  return { ok: true, agent: new Supervisor(start, hooks, limits, first.agent) };
}

class Supervisor implements SupervisedAgent {
  readonly gaveUp: Promise<string>;
  readonly #start: () => Promise<AgentResult>;
  readonly #hooks: SupervisorHooks;
  readonly #limits: SupervisorLimits;
  #agent: AgentProcess;
  #failures = 0;
  #closing = false;
  readonly #pause = new Pause();
  #giveUp: (why: string) => void = () => {};
  readonly #loop: Promise<void>;

  constructor(
    start: () => Promise<AgentResult>,
    hooks: SupervisorHooks,
    limits: SupervisorLimits,
    first: AgentProcess,
  ) {
    this.#start = start;
    this.#hooks = hooks;
    this.#limits = limits;
    this.#agent = first;
    this.gaveUp = new Promise((resolve) => {
      this.#giveUp = resolve;
    });
    this.#loop = this.#watch();
  }

  get pid(): number {
    return this.#agent.pid;
  }

  async #watch(): Promise<void> {
    for (;;) {
      const startedAt = performance.now();
      const code = await this.#agent.exited;
      if (this.#closing) return;
      if (performance.now() - startedAt >= this.#limits.healthyMs) this.#failures = 0;
      let why = `the node agent ended with code ${code}`;
      for (;;) {
        this.#failures += 1;
        if (this.#failures > this.#limits.failuresInRowMax) {
          this.#giveUp(`${why}, for the ${this.#failures}th time`);
          return;
        }
        const { backoffMsMin, backoffMsMax } = this.#limits;
        const pauseMs = Math.min(backoffMsMin * 2 ** (this.#failures - 1), backoffMsMax);
        this.#hooks.report(`${why}; it is started again in ${pauseMs} ms`);
        await this.#pause.wait(pauseMs);
        if (this.#closing) return;
        const next = await this.#tryStart();
        if (next.ok) {
          this.#agent = next.agent;
          if (!this.#closing) this.#hooks.started(next.agent.pid);
          break;
        }
        why = next.message;
        if (this.#closing) return;
      }
      if (this.#closing) return this.#agent.close();
    }
  }

  async #tryStart(): Promise<AgentResult> {
    try {
      return await this.#start();
    } catch (error) {
      return { ok: false, message: `the node agent does not start: ${error instanceof Error ? error.message : error}` };
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#pause.end();
    await this.#agent.close();
    await this.#loop;
  }
}
