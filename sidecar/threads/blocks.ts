import { ORIGINAL_DESTINATION } from '@weft/policies/model/listener';
import { PASSTHROUGH } from '../cluster/destination.ts';
import { clearLine, createBlock } from '../cluster/shared-slots.ts';
import type { Change } from '../xds/table-source.ts';
import type { NamedBlock } from './protocol.ts';

/** The counters that data threads share, by cluster and by listener; kept by the control thread. */
export class SharedBlocks {
  private readonly threads: number;
  private readonly clusters = new Map<string, SharedArrayBuffer>();
  private readonly listenerBlocks: readonly NamedBlock[];

  constructor(threads: number, listenerNames: readonly string[]) {
    this.threads = threads;
    this.listenerBlocks = listenerNames.map((name) => [name, createBlock(threads)] as const);
    // Every thread has these two, whatever the configuration says.
    for (const name of [ORIGINAL_DESTINATION, PASSTHROUGH]) this.clusters.set(name, createBlock(threads));
  }

  /** Blocks of clusters that are new with these changes. One that goes leaves its block to requests under way. */
  follow(changes: readonly Change[]): readonly NamedBlock[] {
    const made: NamedBlock[] = [];
    for (const { kind, name, entry } of changes) {
      if (kind !== 'cluster' || name === ORIGINAL_DESTINATION || name === PASSTHROUGH) continue;
      if (entry === undefined || 'absent' in entry) {
        this.clusters.delete(name);
      } else if (!this.clusters.has(name)) {
        const block = createBlock(this.threads);
        this.clusters.set(name, block);
        made.push([name, block]);
      }
    }
    return made;
  }

  get ofClusters(): readonly NamedBlock[] {
    return [...this.clusters];
  }

  get ofListeners(): readonly NamedBlock[] {
    return this.listenerBlocks;
  }

  /** A thread is gone, and with it everything that it had under way. */
  clear(thread: number): void {
    for (const [, block] of this.listenerBlocks) clearLine(block, thread);
    for (const block of this.clusters.values()) clearLine(block, thread);
  }
}
