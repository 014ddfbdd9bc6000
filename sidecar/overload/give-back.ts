import { dlopen } from 'node:ffi';
import { collector } from './readings.ts';

/** Gives to the system what neither the heap of this thread nor the C library's allocator needs. Takes tens of milliseconds. */
export function memoryReturner(): () => void {
  const collect = collector();
  return () => {
    collect();
    // OpenSSL, V8's compiler and buffers leave holes in the allocator's arenas, which it keeps unless told (malloc_trim(3)).
    openAllocator()();
  };
}

let trim: (() => void) | undefined;

/** At the first use, or before the process gives up the right to. */
export function openAllocator(): () => void {
  trim ??= mallocTrim();
  return trim;
}

function mallocTrim(): () => void {
  try {
    const { functions } = dlopen(null, { malloc_trim: { return: 'int32', arguments: ['uint64'] } });
    return () => void functions.malloc_trim(0n);
  } catch {
    // A C library without it, as musl, returns what is free by itself.
    return () => undefined;
  }
}
