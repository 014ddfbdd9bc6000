/** What the kernel says of a process. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Time on a processor of each thread, in microseconds, by thread id: /proc/<pid>/task/<tid>/schedstat, exact to the nanosecond. */
export function threadCpuUs(pid: number): ReadonlyMap<number, number> {
  const threads = new Map<number, number>();
  for (const tid of readdirSync(`/proc/${pid}/task`)) {
    try {
      const [ns = ''] = readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ', 1);
      threads.set(Number(tid), Number(ns) / 1_000);
    } catch {
      // A thread that ended between the two reads.
    }
  }
  return threads;
}

export function cpuUs(pid: number): number {
  let total = 0;
  for (const us of threadCpuUs(pid).values()) total += us;
  return total;
}

/** Share of a process's time that was spent in the kernel (proc_pid_stat(5), fields 14 and 15). */
export function systemShare(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return system / (user + system);
}

/** Memory that each further process costs, in MiB. */
export function rssAnonMib(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1_024;
}

export async function pin(pid: number, core: number): Promise<void> {
  await run('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)]);
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
