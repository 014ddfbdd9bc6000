import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { DataThreadSetup, ToControl, ToData } from './protocol.ts';

export interface ThreadEvents {
  onMessage(message: ToControl): void;
  /** Once, whatever was the reason. */
  onEnd(reason: string): void;
}

/** A running data thread, as the control thread holds it. A port, so that tests need no real thread. */
export interface ThreadHandle {
  post(message: ToData): void;
  /** Ends it at once. */
  kill(reason: string): void;
}

export type StartThread = (setup: DataThreadSetup, events: ThreadEvents) => ThreadHandle;

/** The source, or its bundle beside this one. */
const entry = join(import.meta.dirname, `data-thread${import.meta.filename.endsWith('.ts') ? '.ts' : '.cjs'}`);

/** One line: what was thrown, and where. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const at = /\n\s+(at [^\n]+)/.exec(error.stack ?? '')?.[1];
  return at === undefined ? error.message : `${error.message} (${at})`;
}

export const startWorker: StartThread = (setup, events) => {
  const worker = new Worker(entry, { workerData: setup, name: `data-${setup.index}` });
  let reason: string | undefined;
  worker.on('message', (message: ToControl) => events.onMessage(message));
  worker.on('messageerror', (error) => {
    reason ??= describe(error);
    void worker.terminate();
  });
  worker.on('error', (error) => {
    reason ??= describe(error);
  });
  worker.on('exit', (code) => events.onEnd(reason ?? `it ended with ${code}`));
  return {
    post: (message) => worker.postMessage(message),
    kill: (why) => {
      reason ??= why;
      void worker.terminate();
    },
  };
};
