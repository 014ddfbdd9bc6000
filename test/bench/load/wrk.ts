/** Closed-loop HTTP/1.1 load by wrk: as much as the proxies take. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { loadCore, onCore } from '../cores.ts';
import { traceparent } from './headers.ts';

const run = promisify(execFile);
const graceMs = 30_000;

export interface ClosedLoad {
  readonly requests: number;
  readonly durationS: number;
}

export interface ClosedLoadOptions {
  readonly port: number;
  readonly path: string;
  readonly seconds: number;
  readonly connections: number;
  /** Where it may run; the load core unless told. */
  readonly cores?: number | string;
}

/** A request that failed makes the run worthless. */
export async function wrk(options: ClosedLoadOptions): Promise<ClosedLoad> {
  const { port, path, seconds, connections, cores = loadCore } = options;
  const url = `http://127.0.0.1:${port}${path}`;
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-H', `traceparent: ${traceparent}`, url];
  const { stdout } = await run('taskset', onCore(cores, 'wrk', args), { timeout: seconds * 1_000 + graceMs });
  const total = /(\d+) requests in ([\d.]+)s/.exec(stdout);
  if (total === null || Number(total[1]) === 0 || /Socket errors|Non-2xx/.test(stdout)) {
    throw new Error(`wrk: not every request was answered well\n${stdout}`);
  }
  return { requests: Number(total[1]), durationS: Number(total[2]) };
}
