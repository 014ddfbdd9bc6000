/**
 * Fuzzing guided by coverage: inputs are changed at random, and those that reach new code are changed further.
 *
 * test/fuzz/corpus/<target> has inputs that reached something or once failed; each run begins with all of them.
 * WEFT_FUZZ_SECONDS is the time of one target, WEFT_FUZZ_TARGET names the only one to run, WEFT_SEED repeats a run (as
 * far as its time allows), and WEFT_FUZZ_SAVE=1 adds what was found to the corpus.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
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
const corpusFolder = fileURLToPath(new URL('corpus', import.meta.url));
const worker = new URL('guided/worker.ts', import.meta.url);

function readCorpus({ name, bytesMax }: Target): Buffer[] {
  const folder = join(corpusFolder, name);
  if (!existsSync(folder)) return [];
  const inputs = readdirSync(folder).map((file) => readFileSync(join(folder, file)));
  for (const input of inputs) assert.ok(input.length <= bytesMax, `an input of ${name} is too long`);
  return inputs;
}

function save(name: string, input: Uint8Array): string {
  const folder = join(corpusFolder, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, createHash('sha256').update(input).digest('hex').slice(0, 16));
  writeFileSync(file, input);
  return file;
}

/** What a thread that explores came to; fails with the input that made it fail or hang. */
async function explore(target: Target): Promise<Outcome> {
  const current = new SharedArrayBuffer(LENGTH_BYTES + target.bytesMax + longestSeed(target));
  const begun = new SharedArrayBuffer(4);
  const work: Work = { target: target.name, corpus: readCorpus(target), budgetMs, seed, current, begun };
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
    const where = saves ? ` (saved as ${save(target.name, input())})` : '';
    throw new Error(`${target.name}, seed ${seed}: input ${input().toString('hex')}${where}`, { cause: error });
  } finally {
    clearInterval(watch);
    await thread.terminate();
  }
}

/** Seeds may be longer than what mutation makes. */
function longestSeed(target: Target): number {
  return Math.max(0, ...target.seeds.map(({ length }) => length));
}

describe('fuzzing by coverage', () => {
  for (const target of targets) {
    if (only !== undefined && only !== target.name) continue;
    test(target.name, async () => {
      const { found, runs, reachedBefore, reached, heapBytes } = await explore(target);
      if (saves) for (const input of found) save(target.name, input);
      console.log(
        `# ${target.name}: ${runs} inputs, ${found.length} found, ${reachedBefore} characters of code reached before, ` +
          `${reached} now, seed ${seed}, heap ${(heapBytes / 1e6).toFixed(0)} MB`,
      );
      assert.ok(reached > 0, 'no code is watched');
      assert.ok(heapBytes < HEAP_BYTES_MAX, `the heap has ${heapBytes} bytes`);
    });
  }
});
