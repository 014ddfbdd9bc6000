/**
 * Fuzzing guided by coverage: inputs are changed at random, and those that reach new code are changed further.
 *
 * test/fuzz/corpus/<target> has inputs that reached something or once failed; each run begins with all of them.
 * WEFT_FUZZ_SECONDS is the time of one target, WEFT_FUZZ_TARGET names the only one to run, WEFT_SEED repeats a run (as
 * far as its time allows), and WEFT_FUZZ_SAVE=1 adds what was found to the corpus.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { readCorpus, saveToCorpus } from './guided/corpus.ts';
import type { Target } from './guided/target.ts';
import { targets } from './guided/targets.ts';
import type { Outcome, Work } from './guided/worker.ts';

const budgetMs = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 5) * 1_000;
const seed = Number(process.env['WEFT_SEED'] ?? Date.now() % 2 ** 31);
const saves = process.env['WEFT_FUZZ_SAVE'] === '1';
const only = process.env['WEFT_FUZZ_TARGET'];
const HANG_MS = 10_000;
const HEAP_BYTES_MAX = 400_000_000;
const LENGTH_BYTES = 4;
const worker = new URL('guided/worker.ts', import.meta.url);

/** What a thread that explores came to; fails with the input that made it fail or hang. */
async function explore(target: Target): Promise<Outcome> {
  const corpus = readCorpus(target.name);
  const longest = Math.max(target.bytesMax, ...[...target.seeds, ...corpus].map(({ length }) => length));
  const current = new SharedArrayBuffer(LENGTH_BYTES + longest);
  const begun = new SharedArrayBuffer(4);
  const work: Work = { target: target.name, corpus, budgetMs, seed, current, begun };
  const thread = new Worker(worker, { workerData: work });
  const input = (): Buffer => {
    const octets = Buffer.from(current);
    return octets.subarray(LENGTH_BYTES, LENGTH_BYTES + octets.readUInt32LE(0));
  };
  let hung = false;
  let last = -1;
  const watch = setInterval(() => {
    const now = Atomics.load(new Int32Array(begun), 0);
    hung = now === last;
    last = now;
    if (hung) void thread.terminate();
  }, HANG_MS);
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      thread.once('message', resolve);
      thread.once('error', reject);
      thread.once('exit', () =>
        reject(new Error(hung ? `an input ran for more than ${HANG_MS} ms` : 'the thread ended')),
      );
    });
  } catch (error) {
    const where = saves ? ` (saved as ${saveToCorpus(target.name, input())})` : '';
    throw new Error(`${target.name}, seed ${seed}: input ${input().toString('hex')}${where}`, { cause: error });
  } finally {
    clearInterval(watch);
    await thread.terminate();
  }
}

describe('fuzzing by coverage', () => {
  for (const target of targets) {
    if (only !== undefined && only !== target.name) continue;
    test(target.name, async () => {
      const { found, runs, reachedBefore, reached, heapBytes } = await explore(target);
      if (saves) for (const input of found) saveToCorpus(target.name, input);
      console.log(
        `# ${target.name}: ${runs} inputs, ${found.length} found, ${reachedBefore} characters of code reached before, ` +
          `${reached} now, seed ${seed}, heap ${(heapBytes / 1e6).toFixed(0)} MB`,
      );
      assert.ok(reached > 0, 'no code is watched');
      assert.ok(heapBytes < HEAP_BYTES_MAX, `the heap has ${heapBytes} bytes`);
    });
  }
});
