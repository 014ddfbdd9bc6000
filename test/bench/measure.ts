/** What the kernel says of a process. */
import { readdirSync, readFileSync } from 'node:fs';

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

const ESTABLISHED = '01';

/** Open connections to a port of 127.0.0.1 (proc_net_tcp(5): local and remote address, state). */
export function connectionsTo(port: number): number {
  const to = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => {
      const [, , remote, state] = line.trim().split(/\s+/);
      return remote === to && state === ESTABLISHED;
    }).length;
}

/** Memory that each further process costs, in MB; the kernel's kB has 1,024 bytes. */
export function rssAnonMb(pid: number): number {
  return (Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024) / 1e6;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
