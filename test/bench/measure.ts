import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

/** User and system time of all threads of a process, in microseconds (proc_pid_stat(5), fields 14 and 15). */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

/** Memory that each further process costs, in MiB. */
export function rssAnonMib(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

export async function pin(pid: number, core: number): Promise<void> {
  await run('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)]);
}

export interface Load {
  readonly requests: number;
  readonly durationS: number;
  readonly p99Ms: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  readonly core: number;
}

const unitMs: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };

/** Closed-loop load by wrk; a request that failed makes the run worthless. */
export async function wrk({ url, seconds, connections, core }: LoadOptions): Promise<Load> {
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--latency', url];
  const { stdout } = await run('taskset', ['--cpu-list', String(core), 'wrk', ...args], {
    timeout: (seconds + 30) * 1_000,
  });
  const total = /(\d+) requests in ([\d.]+)s/.exec(stdout);
  const p99 = /99%\s+([\d.]+)(us|ms|s|m)/.exec(stdout);
  if (total === null || p99 === null || /Socket errors|Non-2xx/.test(stdout)) throw new Error(`wrk:\n${stdout}`);
  return {
    requests: Number(total[1]),
    durationS: Number(total[2]),
    p99Ms: Number(p99[1]) * (unitMs[p99[2] ?? ''] ?? Number.NaN),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
