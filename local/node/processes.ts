import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';

/** A process that is safe to signal later: the start time tells it from a newer one with the same number. */
export interface ProcessRef {
  readonly pid: number;
  readonly startTime: string;
}

/** Field 22 of /proc/<pid>/stat; the name in field 2 may hold spaces and parentheses, so count from the last one. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

export function processRef(pid: number): ProcessRef | undefined {
  const startTime = startTimeOf(pid);
  return startTime === undefined ? undefined : { pid, startTime };
}

export function isAlive(ref: ProcessRef): boolean {
  return startTimeOf(ref.pid) === ref.startTime;
}

/** Every process whose network namespace is one of the named ones (files under /run/netns). */
export function processesInNamespaces(namespaceFiles: readonly string[]): ProcessRef[] {
  const inodes = new Set<string>();
  for (const file of namespaceFiles) {
    try {
      inodes.add(`net:[${statSync(file).ino}]`);
    } catch {
      // Gone meanwhile: nothing can be in it under that name.
    }
  }
  const found: ProcessRef[] = [];
  if (inodes.size === 0) return found;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!inodes.has(readlinkSync(`/proc/${name}/ns/net`))) continue;
    } catch {
      continue;
    }
    const ref = processRef(Number(name));
    if (ref !== undefined) found.push(ref);
  }
  return found;
}

function signalProcess(ref: ProcessRef, signal: NodeJS.Signals): void {
  if (!isAlive(ref)) return;
  try {
    process.kill(ref.pid, signal);
  } catch {
    // Ended between the check and the call.
  }
}

/** Kills and waits until all are gone, bounded; returns those that would not go. */
export async function killAll(refs: readonly ProcessRef[], waitMsMax = 3_000): Promise<ProcessRef[]> {
  for (const ref of refs) signalProcess(ref, 'SIGKILL');
  const deadline = performance.now() + waitMsMax;
  let left = refs.filter(isRunning);
  while (left.length > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    left = left.filter(isRunning);
  }
  return left;
}

/** A zombie is dead already: it only waits for its parent to ask. */
function isRunning(ref: ProcessRef): boolean {
  try {
    const stat = readFileSync(`/proc/${ref.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[19] === ref.startTime && fields[0] !== 'Z' && fields[0] !== 'X';
  } catch {
    return false;
  }
}
