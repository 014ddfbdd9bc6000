import { readFileSync } from 'node:fs';
import type { PeerCredentials } from './peer-credentials.ts';

/** Field 22 of /proc/<pid>/stat, counted from behind the name, which may hold anything. */
const START_TIME_AFTER_NAME = 19;

/** When a process began, in clock ticks; undefined where it cannot be seen. */
export function startTicksOf(pid: number): string | undefined {
  if (pid <= 0) return undefined;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_TIME_AFTER_NAME];
  } catch {
    return undefined;
  }
}

/**
 * Whether the process that connected is still the one of that number. User and group belong to the connection and cannot
 * change; the number is given to others when its process has ended.
 */
export const isSameProcess = ({ pid, startTicks }: PeerCredentials): boolean =>
  startTicks === undefined || startTicksOf(pid) === startTicks;
