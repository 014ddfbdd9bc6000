import { dlopen } from 'node:ffi';
import { getPriority, setPriority } from 'node:os';
import type { Cancel, Clock } from '@weft/policies/kit/clock';

/** Numbers are given in turn: those of the runtime's threads follow the process's own, with what the machine starts between. */
const NUMBERS_AHEAD = 256;
const LOOK_EVERY_MS = 250;
/** Less is not what a compiler gets in the way of. */
const BUSY_SHARE_MIN = 0.1;
/** Of processor time, from then on: what runs for each request has been compiled once. */
const BUSY_MS = 350;
/** Above the process's own: a tenth of its weight (sched(7)), with which a thread gets on however busy the processor is. */
const NICER_BY = 10;
const NICE_MAX = 19;

interface Threads {
  /** Processor time of the process since it began. */
  usedMs(): number;
  lower(): number;
}

/** Those that the runtime began with: asked for before the program starts any of its own. */
const runtimeThreads = listRuntimeThreads();

/**
 * By asking which numbers are threads of this process (tgkill(2), no signal). Their list is in /proc/self/task, where each
 * has a link to the root of all files besides, which the permission model would follow.
 */
function listRuntimeThreads(): readonly number[] {
  try {
    const { functions } = dlopen(null, { tgkill: { return: 'int32', arguments: ['int32', 'int32', 'int32'] } });
    const { pid } = process;
    return Array.from({ length: NUMBERS_AHEAD }, (_, at) => pid + 1 + at).filter(
      (id) => functions.tgkill(pid, id, 0) === 0,
    );
  } catch {
    // Not Linux, another C library, or without the right to native functions.
    return [];
  }
}

/** Of threads that have a lower priority now. What has been lowered cannot be raised again without a privilege. */
export function lowerRuntimeThreads(ids: readonly number[] = runtimeThreads): number {
  const own = getPriority();
  if (own >= NICE_MAX) return 0;
  const nice = Math.min(NICE_MAX, own + NICER_BY);
  let lowered = 0;
  for (const id of ids) {
    try {
      // setpriority(2) takes threads for processes.
      setPriority(id, nice);
      lowered++;
    } catch {
      // It has ended, or may not: all is as it was.
    }
  }
  return lowered;
}

const ofProcess: Threads = {
  usedMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000;
  },
  lower: lowerRuntimeThreads,
};

/**
 * Lets requests go before V8's compiler once the process has worked for a while. On a processor that both share, a request
 * that comes while a function is being optimized waits for a slice of the compiler's, for milliseconds. Not from the start:
 * code that nobody has compiled costs a request several times as much, so that it is the compiler that is waited for
 * (docs/decisions/027-requests-before-the-compiler.md).
 */
export function lowerCompilerWhenWarm(
  { clock, count }: { readonly clock: Clock; readonly count: (event: string) => void },
  threads: Threads = ofProcess,
): Cancel {
  let cancel: Cancel = () => undefined;
  let busyMs = 0;
  let lastMs = clock.nowMs();
  let lastUsedMs = threads.usedMs();
  const look = (): void => {
    const nowMs = clock.nowMs();
    const usedMs = threads.usedMs();
    if (usedMs - lastUsedMs >= (nowMs - lastMs) * BUSY_SHARE_MIN) busyMs += usedMs - lastUsedMs;
    [lastMs, lastUsedMs] = [nowMs, usedMs];
    if (busyMs < BUSY_MS) cancel = clock.afterUnref(LOOK_EVERY_MS, look);
    else if (threads.lower() > 0) count('compiler.lowered');
  };
  cancel = clock.afterUnref(LOOK_EVERY_MS, look);
  return () => cancel();
}
