import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { descriptorCounter } from './descriptor-count.ts';
import type { Reading } from './monitor.ts';

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

const bytes = (text: string | undefined): number =>
  text === undefined || text.startsWith('max') ? Number.POSITIVE_INFINITY : Number(text);

/** Bytes of a `memory.stat` that the kernel gives back when somebody needs them. */
function cacheBytes(stat: string | undefined, field: string): number {
  const found = new RegExp(`^${field} (\\d+)$`, 'm').exec(stat ?? '');
  return found === null ? 0 : Number(found[1]);
}

interface Group {
  readonly max: string;
  readonly used: string;
  readonly stat: string;
  /** In `stat`. */
  readonly cache: string;
}

/** The files of one version of cgroups; of v1 memory is a tree of its own. */
const VERSIONS = [
  { line: /^0::(.*)$/m, root: '', max: 'memory.max', used: 'memory.current', cache: 'inactive_file' },
  {
    line: /^\d+:[^:]*\bmemory\b[^:]*:(.*)$/m,
    root: 'memory',
    max: 'memory.limit_in_bytes',
    used: 'memory.usage_in_bytes',
    cache: 'total_inactive_file',
  },
] as const;

/** v1 says "no limit" with a number near 2^63. */
const UNLIMITED_BYTES = 2 ** 60;
/** Below this share the cache is not looked at: it could only make it less. */
const CACHE_MATTERS_FROM = 0.8;

/** The process's own group and those above it. A container sees its group as the root, so that the path may not exist. */
function findGroups(mount: string, ofProcess: string): readonly Group[] {
  return VERSIONS.flatMap(({ line, root, max, used, cache }) => {
    const path = line.exec(ofProcess)?.[1];
    if (path === undefined) return [];
    const parts = path.split('/').filter((part) => part !== '' && part !== '..');
    return Array.from({ length: parts.length + 1 }, (_, depth) => join(mount, root, ...parts.slice(0, depth)))
      .map((folder) => ({ max: join(folder, max), used: join(folder, used), stat: join(folder, 'memory.stat'), cache }))
      .filter((group) => existsSync(group.max) && existsSync(group.used));
  });
}

function readGroup({ used: usedFile, stat, cache }: Group, max: number): Reading | undefined {
  const all = bytes(read(usedFile));
  if (!Number.isFinite(all)) return undefined;
  const used = all < max * CACHE_MATTERS_FROM ? all : all - cacheBytes(read(stat), cache);
  return { what: 'memory', used, max };
}

/** A file costs some 50 us of a thread that carries traffic: how much there may be is read less often than how much there is. */
const READINGS_PER_LIMIT = 20;

interface Limited {
  readonly group: Group;
  readonly max: number;
}

/** The limit as it was where it cannot be read just now. */
const limitOf = ({ group, max }: Limited): Limited => {
  const text = read(group.max);
  return text === undefined ? { group, max } : { group, max: bytes(text) };
};
const isLimited = ({ max }: Limited): boolean => max < UNLIMITED_BYTES;

/**
 * Memory of the process's cgroups without file cache; nothing where no limit is set. A limit that is changed, as of a pod
 * that is resized in place, is noticed with one of the next 20 readings.
 */
export function memoryReader(
  mount = '/sys/fs/cgroup',
  ofProcess = read('/proc/self/cgroup') ?? '',
): () => readonly Reading[] {
  let groups: readonly Limited[] = findGroups(mount, ofProcess).map((group) => ({
    group,
    max: Number.POSITIVE_INFINITY,
  }));
  let readings = 0;
  return () => {
    if (readings++ % READINGS_PER_LIMIT === 0) groups = groups.map(limitOf);
    return groups.filter(isLimited).flatMap(({ group, max }) => readGroup(group, max) ?? []);
  };
}

/** Open files of the process. */
export function descriptorReader(): () => readonly Reading[] {
  const limit = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits') ?? '')?.[1] ?? 'unlimited';
  if (limit === 'unlimited') return () => [];
  const max = Number(limit);
  const count = descriptorCounter();
  return () => {
    try {
      return [{ what: 'descriptors', used: count(), max }];
    } catch {
      // The very descriptor to look with is missing.
      return [{ what: 'descriptors', used: max, max }];
    }
  };
}

/** Of the calling thread. */
export function heapReading(): Reading {
  const { used_heap_size: used, heap_size_limit: max } = getHeapStatistics();
  return { what: 'heap', used, max };
}

/** Collects garbage at once: V8 sees no reason to while its own limit is far, whatever the cgroup's is. */
export function collector(): () => void {
  let collect: unknown;
  return () => {
    if (collect === undefined) {
      setFlagsFromString('--expose-gc');
      collect = runInNewContext('gc');
      // V8 takes code that was compiled ahead with the same flags alone: Node's own modules, and our bundles.
      setFlagsFromString('--no-expose-gc');
    }
    // Of all kinds this one alone gives pages back to the system.
    const options = { type: 'major', execution: 'sync', flavor: 'last-resort' };
    if (typeof collect === 'function') Reflect.apply(collect, undefined, [options]);
  };
}
