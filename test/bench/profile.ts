/** What a CPU profile of a sidecar says: where its own time goes. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

interface Node {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

interface CpuProfile {
  readonly nodes: readonly Node[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

const functionsShown = 25;

type Share =
  | 'idle'
  | 'garbage collection'
  | 'libuv and its system calls'
  | 'native called from JavaScript'
  | 'JavaScript';

/** V8 gives what is not JavaScript names of its own; native functions that JavaScript calls have no source. */
function shareOf({ callFrame: { functionName, url } }: Node): Share {
  if (functionName === '(idle)') return 'idle';
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (functionName === '(program)') return 'libuv and its system calls';
  return url === '' ? 'native called from JavaScript' : 'JavaScript';
}

const place = ({ callFrame: { functionName, url, lineNumber } }: Node): string =>
  `${functionName === '' ? '(anonymous)' : functionName}${url === '' ? '' : ` ${basename(url)}:${lineNumber + 1}`}`;

const add = <K>(to: Map<K, number>, key: K, us: number): void => void to.set(key, (to.get(key) ?? 0) + us);

function print(file: string): void {
  const { nodes, samples, timeDeltas }: CpuProfile = JSON.parse(readFileSync(file, 'utf8'));
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const functions = new Map<string, number>();
  const shares = new Map<Share, number>();
  let busyUs = 0;
  for (const [at, id] of samples.entries()) {
    const node = byId.get(id);
    // The time until the next sample is what this one stands for.
    const us = timeDeltas[at + 1] ?? 0;
    if (node === undefined) continue;
    const share = shareOf(node);
    if (share === 'idle') continue;
    busyUs += us;
    add(shares, share, us);
    add(functions, place(node), us);
  }
  const percent = (us: number): string => `${((us / busyUs) * 100).toFixed(1).padStart(5)} %`;
  const descending = <K>(map: Map<K, number>): readonly (readonly [K, number])[] =>
    [...map].sort(([, a], [, b]) => b - a);
  console.error(`\n# ${file}: ${(busyUs / 1e6).toFixed(2)} s busy`);
  for (const [share, us] of descending(shares)) console.error(`#   ${percent(us)}  ${share}`);
  for (const [name, us] of descending(functions).slice(0, functionsShown)) console.error(`${percent(us)}  ${name}`);
}

/** Share of a process's time that was spent in the kernel (proc_pid_stat(5), fields 14 and 15). */
export function kernelShare(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [Number(fields[11]), Number(fields[12])];
  return system / (user + system);
}

/** All profiles below a folder, a folder for each side. */
export function printProfiles(folder: string): void {
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (file.endsWith('.cpuprofile')) print(join(folder, file));
  }
}
