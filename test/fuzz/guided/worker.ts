/** Explores one target in a thread of its own, which the test ends when an input never does. */
import { parentPort, workerData } from 'node:worker_threads';
import { explore } from './loop.ts';
import { targets } from './targets.ts';

export interface Work {
  readonly target: string;
  readonly corpus: readonly Uint8Array[];
  readonly budgetMs: number;
  readonly seed: number;
  /** The input that runs: its length and then its octets. */
  readonly current: SharedArrayBuffer;
  /** Inputs that have begun. */
  readonly begun: SharedArrayBuffer;
}

export interface Outcome {
  readonly found: readonly Uint8Array[];
  readonly runs: number;
  readonly reachedBefore: number;
  readonly reached: number;
  readonly heapBytes: number;
}

const LENGTH_BYTES = 4;
const work: Work = workerData;
const target = targets.find(({ name }) => name === work.target);
if (target === undefined) throw new Error(`no target ${work.target}`);
const current = Buffer.from(work.current);
const begun = new Int32Array(work.begun);
const explored = await explore(
  target,
  work.corpus.map((octets) => Buffer.from(octets)),
  work.budgetMs,
  work.seed,
  (input) => {
    current.writeUInt32LE(input.length, 0);
    input.copy(current, LENGTH_BYTES);
    Atomics.add(begun, 0, 1);
  },
);
const outcome: Outcome = { ...explored, heapBytes: process.memoryUsage().heapUsed };
parentPort?.postMessage(outcome);
