/** Everything that the mesh looks at, from the Kubernetes API into the state. */

import { isCoreKind } from '../index/core.ts';
import { type MeshObject, type ObjectKind, objectKinds, parseObject } from '../index/objects.ts';
import type { KubeClient } from './client.ts';
import { keyOfObject, Reflector } from './reflector.ts';
import type { Report } from './report.ts';
import { collectionPaths, type ServedVersions } from './resources.ts';
import { remainder } from './unreadable.ts';

interface WatcherOptions {
  readonly client: KubeClient;
  readonly log: Report;
  readonly served: ServedVersions;
  readonly apply: (object: MeshObject) => void;
  readonly remove: (kind: ObjectKind, key: string) => void;
  /** Whether a version of the object is in force. */
  readonly holds: (kind: ObjectKind, key: string) => boolean;
  /** Every object as the API server has it, and why it was not taken if it was not. */
  readonly observe: (kind: ObjectKind, key: string, raw: unknown, invalid: string | undefined) => void;
}

export class ClusterWatcher {
  readonly counters = { invalid: 0 };
  private readonly reflectors = new Map<ObjectKind, Reflector>();
  private readonly unsynced = new Set<ObjectKind>(objectKinds);

  constructor(options: WatcherOptions) {
    for (const kind of objectKinds) this.reflectors.set(kind, this.reflectorFor(kind, options));
  }

  start(): void {
    for (const reflector of this.reflectors.values()) reflector.start();
  }

  stop(): void {
    for (const reflector of this.reflectors.values()) reflector.stop();
  }

  /** Kinds that have not been listed yet. */
  missing(): readonly ObjectKind[] {
    return [...this.unsynced];
  }

  totals(): { readonly lists: number; readonly watches: number; readonly events: number; readonly failures: number } {
    const sum = { lists: 0, watches: 0, events: 0, failures: 0 };
    for (const { counters } of this.reflectors.values()) {
      sum.lists += counters.lists;
      sum.watches += counters.watches;
      sum.events += counters.events;
      sum.failures += counters.failures;
    }
    return sum;
  }

  private notTaken(
    kind: ObjectKind,
    key: string,
    raw: unknown,
    reason: string,
    { log, apply, holds }: WatcherOptions,
  ): void {
    if (holds(kind, key)) {
      log.warn('object not taken; its last good version stays', { kind, key, reason });
      return;
    }
    const left = remainder(kind, withoutNoise(raw));
    if (left !== undefined) apply(left);
    const what =
      left === undefined ? 'there is no version of it before' : 'what can be read of it holds, and the rest closed';
    log.warn(`object not taken; ${what}`, { kind, key, reason });
  }

  private reflectorFor(kind: ObjectKind, options: WatcherOptions): Reflector {
    const { client, log, served, apply, remove, observe } = options;
    return new Reflector({
      client,
      paths: collectionPaths(kind),
      events: {
        apply: (raw) => {
          const key = keyOfObject(raw);
          if (key === undefined) return;
          const parsed = parseObject(kind, isCoreKind(kind) ? raw : withoutNoise(raw));
          if (parsed.ok) apply(parsed.value);
          else {
            // Admission keeps such objects out; one that came past it changes nothing of what serves.
            this.counters.invalid += 1;
            this.notTaken(kind, key, raw, parsed.error, options);
          }
          observe(kind, key, raw, parsed.ok ? undefined : parsed.error);
        },
        remove: (key) => remove(kind, key),
        synced: (path) => {
          if (path !== undefined) served.answered(kind, path);
          this.unsynced.delete(kind);
        },
        failed: (error) => log.warn('watch failed', { kind, status: error.status, reason: error.message }),
      },
    });
  }
}

/** Leaves out what changes without a change of meaning: our own status, and the API server's bookkeeping. */
function withoutNoise(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null) return raw;
  const { status: _status, ...object } = { status: undefined, ...raw };
  if (!('metadata' in object) || typeof object.metadata !== 'object' || object.metadata === null) return object;
  const {
    resourceVersion: _version,
    managedFields: _fields,
    ...metadata
  } = {
    resourceVersion: undefined,
    managedFields: undefined,
    ...object.metadata,
  };
  return { ...object, metadata };
}
