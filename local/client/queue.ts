/**
 * A deduplicating queue of keys: a key runs once at a time, again if it was added meanwhile, and with a growing pause after a
 * failure. The work sees only the key and reads the newest state itself, so that missed or doubled events do no harm.
 */
export interface KeyQueue {
  add(key: string, delayMs?: number): void;
  /** Resolves when running work has ended; nothing starts afterwards. */
  close(): Promise<void>;
}

interface KeyQueueOptions {
  readonly work: (key: string) => Promise<'done' | 'retry'>;
  readonly onError?: (key: string, error: unknown) => void;
  readonly concurrencyMax?: number;
}

const RETRY_MS_MIN = 20;
const RETRY_MS_MAX = 5_000;

class DedupQueue implements KeyQueue {
  readonly #options: KeyQueueOptions;
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  readonly #failures = new Map<string, number>();
  #closed = false;

  constructor(options: KeyQueueOptions) {
    this.#options = options;
  }

  add(key: string, delayMs = 0): void {
    if (this.#closed) return;
    if (delayMs > 0) {
      const earlier = this.#timers.get(key);
      if (earlier !== undefined) return;
      const timer = setTimeout(() => {
        this.#timers.delete(key);
        this.add(key);
      }, delayMs);
      this.#timers.set(key, timer);
      return;
    }
    if (this.#running.has(key)) this.#again.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  #pump(): void {
    const max = this.#options.concurrencyMax ?? 8;
    for (const key of this.#waiting) {
      if (this.#closed || this.#running.size >= max) return;
      this.#waiting.delete(key);
      this.#running.set(key, this.#runOne(key));
    }
  }

  async #runOne(key: string): Promise<void> {
    // The map entry must exist before the work may finish.
    await Promise.resolve();
    let outcome: 'done' | 'retry' = 'retry';
    try {
      outcome = await this.#options.work(key);
    } catch (error) {
      this.#options.onError?.(key, error);
    }
    this.#running.delete(key);
    if (outcome === 'done') this.#failures.delete(key);
    else {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      this.add(key, Math.min(RETRY_MS_MIN * 2 ** failures, RETRY_MS_MAX));
    }
    if (this.#again.delete(key)) this.add(key);
    this.#pump();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#waiting.clear();
    await Promise.allSettled(this.#running.values());
  }
}

export function createKeyQueue(options: KeyQueueOptions): KeyQueue {
  return new DedupQueue(options);
}
