import { Blocks } from './blocks.ts';
import { mutate, Random } from './mutate.ts';
import type { Target } from './target.ts';

/** Asking V8 takes milliseconds: inputs are run by batches, and only a batch that reached something is looked into. */
const BATCH = 100;
/** The newest inputs are closest to what was never reached. */
const NEWEST = 8;

export interface Explored {
  /** Inputs that reached code which none before had reached. */
  readonly found: readonly Buffer[];
  readonly runs: number;
  /** Characters of source that ran, with the corpus alone and in the end. */
  readonly reachedBefore: number;
  readonly reached: number;
}

class Exploration {
  readonly found: Buffer[] = [];
  runs = 0;
  private readonly kept: Buffer[] = [];
  private readonly target: Target;
  private readonly random: Random;
  private readonly blocks: Blocks;
  private readonly before: (input: Buffer) => void;

  constructor(target: Target, blocks: Blocks, seed: number, before: (input: Buffer) => void) {
    this.target = target;
    this.blocks = blocks;
    this.random = new Random(seed);
    this.before = before;
  }

  async replay(inputs: readonly Buffer[]): Promise<void> {
    for (const input of inputs) {
      await this.run(input);
      this.kept.push(input);
    }
    this.blocks.take(true);
  }

  async batch(): Promise<void> {
    const inputs: Buffer[] = [];
    for (let i = 0; i < BATCH; i++) {
      const input = this.next();
      inputs.push(input);
      await this.run(input);
    }
    if (!this.blocks.take(false)) return;
    const foundBefore = this.found.length;
    for (const input of inputs) {
      await this.run(input);
      if (!this.blocks.take(true)) continue;
      this.kept.push(input);
      this.found.push(input);
    }
    if (this.found.length > foundBefore) return;
    // V8 draws some blocks otherwise when many inputs are counted together: not to be looked into again.
    for (const input of inputs) await this.run(input);
    this.blocks.take(true);
  }

  private next(): Buffer {
    const { kept, random, target } = this;
    const base = random.below(2) === 0 ? random.of(kept) : kept.at(-1 - random.below(Math.min(NEWEST, kept.length)));
    return mutate(base ?? Buffer.alloc(0), random, kept, target.words, target.bytesMax);
  }

  private async run(input: Buffer): Promise<void> {
    this.runs++;
    this.before(input);
    const pending = this.target.run(input);
    if (pending !== undefined) await pending;
  }
}

/**
 * Runs the corpus, then changes of it until the time is over, and keeps what reaches new code. `before` is told each
 * input before it runs, so that one that fails or never ends is known.
 */
export async function explore(
  target: Target,
  corpus: readonly Buffer[],
  budgetMs: number,
  seed: number,
  before: (input: Buffer) => void,
): Promise<Explored> {
  const blocks = new Blocks(target.scripts);
  try {
    const exploration = new Exploration(target, blocks, seed, before);
    await exploration.replay([...target.seeds, ...corpus]);
    const reachedBefore = blocks.reached;
    const endMs = performance.now() + budgetMs;
    while (performance.now() < endMs) await exploration.batch();
    return { found: exploration.found, runs: exploration.runs, reachedBefore, reached: blocks.reached };
  } finally {
    blocks.close();
  }
}
