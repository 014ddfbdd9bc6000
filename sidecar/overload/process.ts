import type { Clock } from '@weft/policies/kit/clock';
import { memoryReturner } from './give-back.ts';
import { OverloadMonitor } from './monitor.ts';
import { descriptorReader, heapReading, memoryReader } from './readings.ts';

interface ProcessOverloadOptions {
  readonly clock: Clock;
  readonly count: (event: string) => void;
  readonly log: (line: string) => void;
  readonly onChange: (shed: boolean) => void;
}

/** What the process has in common: memory of its cgroup and descriptors, and the heap of the thread that calls. */
export function processOverload(options: ProcessOverloadOptions): OverloadMonitor {
  const memory = memoryReader();
  const descriptors = descriptorReader();
  return new OverloadMonitor({
    ...options,
    read: () => [...memory(), ...descriptors(), heapReading()],
    reclaim: memoryReturner(),
  });
}
