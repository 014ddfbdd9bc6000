import { readFileSync } from 'node:fs';
import { errorText } from '@weft/policies/kit/error-text';
import { checkMeshName, RUN_ROOT } from './names.ts';
import { destroyNode, meshNamespaces, NETNS_ROOT } from './node.ts';
import { isAlive, killAll, type ProcessRef, processesInNamespaces } from './processes.ts';
import { readMeshState, removeMeshState } from './state.ts';
import { MNT_DETACH, unmount } from './syscalls.ts';

export interface Cleared {
  readonly processes: number;
  readonly mounts: number;
  readonly namespaces: number;
  readonly problems: readonly string[];
}

/** Mount points below a directory, deepest first. Paths in mountinfo escape blanks as octal (proc_pid_mountinfo(5)). */
export function mountsBelow(directory: string, mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')): string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .map((path) => path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))))
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse();
}

/**
 * Clears whatever a mesh of this name left behind: processes (those inside its network namespaces, and those it recorded, told from
 * strangers by their start time), mounts below its run directory, namespaces with their links and rules, and its record.
 */
export async function clearLeftovers(mesh: string): Promise<Cleared> {
  const wrong = checkMeshName(mesh);
  if (wrong !== undefined) return { processes: 0, mounts: 0, namespaces: 0, problems: [wrong] };
  const problems: string[] = [];
  const state = readMeshState(mesh);
  const recorded = (state?.processes ?? []).filter((ref) => ref.pid !== process.pid && isAlive(ref));
  let killed = recorded.length;
  let stubborn = await killAll(recorded);
  // Twice: a container that was being started by a process killed in the first round is seen in the second.
  for (let round = 0; round < 2; round++) {
    const inside = processesInNamespaces(meshNamespaces(mesh).map((name) => `${NETNS_ROOT}/${name}`)).filter(
      (ref) => ref.pid !== process.pid,
    );
    killed += inside.length;
    stubborn = [...stubborn, ...(await killAll(inside))];
  }
  problems.push(...stubborn.map((ref: ProcessRef) => `process ${ref.pid} does not end`));
  const mounts = mountsBelow(`${RUN_ROOT}/${mesh}`);
  for (const path of mounts) {
    try {
      unmount(path, MNT_DETACH);
    } catch (error) {
      problems.push(errorText(error));
    }
  }
  const namespaces = meshNamespaces(mesh).length;
  const destroyed = await destroyNode(mesh);
  if (!destroyed.ok) problems.push(destroyed.message);
  if (problems.length === 0) removeMeshState(mesh);
  return { processes: killed, mounts: mounts.length, namespaces, problems };
}
