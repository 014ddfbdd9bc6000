import { readFileSync } from 'node:fs';

/** Bit 14 of the masks in /proc/<pid>/status is signal 15, SIGTERM (proc_pid_status(5)). */
const SIGTERM_BIT = 1n << 14n;

/** Whether a process has a handler for SIGTERM now; undefined when it is gone. */
export function catchesSigterm(pid: number): boolean | undefined {
  try {
    const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return mask === undefined ? undefined : (BigInt(`0x${mask}`) & SIGTERM_BIT) !== 0n;
  } catch {
    return undefined;
  }
}
