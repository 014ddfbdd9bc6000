/** Keys to work on, each at most once at a time; a failure is tried again with growing delay. */
import { errorText } from '@weft/policies/kit/error-text';

const delayMaxMs = 30_000;

export class WorkQueue {
  readonly #work: (key: string) => Promise<void> | void;
  readonly #pending = new Set<string>();
  readonly #failures = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  #running = false;
  #closed = false;

  constructor(work: (key: string) => Promise<void> | void) {
    this.#work = work;
  }

  add(key: string): void {
    if (this.#closed) return;
    this.#pending.add(key);
    if (!this.#running) {
      this.#running = true;
      setImmediate(() => void this.#run());
    }
  }

  async #run(): Promise<void> {
    for (const key of this.#pending) {
      if (this.#closed) break;
      this.#pending.delete(key);
      try {
        await this.#work(key);
        this.#failures.delete(key);
      } catch (error) {
        this.#retry(key, error);
      }
    }
    this.#running = false;
    if (this.#pending.size > 0 && !this.#closed) this.add([...this.#pending][0] ?? '');
  }

  #retry(key: string, error: unknown): void {
    if (this.#closed) return;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    console.error(`api: cleaning up ${key}: ${errorText(error)}`);
    const timer = setTimeout(
      () => {
        this.#timers.delete(timer);
        this.add(key);
      },
      Math.min(delayMaxMs, 100 * 2 ** failures),
    );
    this.#timers.add(timer);
  }

  close(): void {
    this.#closed = true;
    this.#pending.clear();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
