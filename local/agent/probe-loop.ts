import type { Probe } from '../client/objects.ts';
import type { HandlerResult } from './handlers.ts';

type ProbeVerdict = 'success' | 'failure';

interface ProbeLoopOptions {
  readonly probe: Probe;
  readonly run: (timeoutMs: number) => Promise<HandlerResult>;
  /** The probe's state changed: enough successes or failures in a row. */
  readonly onVerdict: (verdict: ProbeVerdict, message: string) => void;
  /** One failed try, for the event. */
  readonly onFailure: (message: string) => void;
  /** Stop after the first success: a startup probe has then done its work. */
  readonly once: boolean;
  /** Look more often than the period until the first success. Only successes of these extra tries count. */
  readonly eager: boolean;
}

const EAGER_MS = 150;

/**
 * Repeats a probe with kubelet's counting. A new container is looked at more often than its period says until it first succeeds, so that a
 * start on a laptop takes as long as the program needs and not as long as the period; failures are counted by the period alone.
 */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #successes = 0;
  #failures = 0;
  #verdict: ProbeVerdict | undefined;

  constructor(options: ProbeLoopOptions) {
    this.#options = options;
    const delayMs = (options.probe.initialDelaySeconds ?? 0) * 1000;
    this.#schedule(delayMs, performance.now() + delayMs);
  }

  #schedule(inMs: number, nextCountedAt: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#tick(nextCountedAt), Math.max(0, inMs));
  }

  async #tick(countedAt: number): Promise<void> {
    const { probe, run, eager } = this.#options;
    const periodMs = Math.max(1, probe.periodSeconds ?? 10) * 1000;
    const counted = performance.now() >= countedAt - 1;
    const result = await run(Math.max(1, probe.timeoutSeconds ?? 1) * 1000);
    if (this.#stopped) return;
    if (result.ok) this.#succeeded(result.message);
    else if (counted) this.#failed(result.message);
    const nextCountedAt = counted ? countedAt + periodMs : countedAt;
    const untilCountedMs = nextCountedAt - performance.now();
    const hurry = eager && this.#verdict !== 'success' && this.#successes === 0;
    this.#schedule(hurry ? Math.min(EAGER_MS, untilCountedMs) : untilCountedMs, nextCountedAt);
  }

  #succeeded(message: string): void {
    this.#successes += 1;
    this.#failures = 0;
    if (this.#verdict === 'success' || this.#successes < (this.#options.probe.successThreshold ?? 1)) return;
    this.#verdict = 'success';
    if (this.#options.once) this.stop();
    this.#options.onVerdict('success', message);
  }

  #failed(message: string): void {
    this.#failures += 1;
    this.#successes = 0;
    this.#options.onFailure(message);
    if (this.#verdict === 'failure' || this.#failures < (this.#options.probe.failureThreshold ?? 3)) return;
    this.#verdict = 'failure';
    this.#options.onVerdict('failure', message);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
