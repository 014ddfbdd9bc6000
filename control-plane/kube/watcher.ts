/** Everything that the mesh looks at, from the Kubernetes API into the state. */

import { type MeshObject, type ObjectKind, objectKinds } from '../index/objects.ts';
import type { KubeClient } from './client.ts';
import { Intake, type NotTaken } from './intake.ts';
import { keyOfObject, Reflector } from './reflector.ts';
import type { Report } from './report.ts';
import { collectionPaths, type ServedVersions } from './resources.ts';

interface WatcherOptions {
  readonly client: KubeClient;
  readonly log: Report;
  readonly served: ServedVersions;
  readonly apply: (object: MeshObject) => void;
  readonly remove: (kind: ObjectKind, key: string) => void;
  /** Whether a version of the object is in force. */
  readonly holds: (kind: ObjectKind, key: string) => boolean;
  /** Every object as the API server has it, and why it was not taken if it was not. */
  readonly observe: (kind: ObjectKind, key: string, raw: unknown, invalid: NotTaken | undefined) => void;
}

export class ClusterWatcher {
  readonly intake: Intake;
  private readonly reflectors = new Map<ObjectKind, Reflector>();
  private readonly unsynced = new Set<ObjectKind>(objectKinds);

  constructor(options: WatcherOptions) {
    this.intake = new Intake(options);
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

  private reflectorFor(kind: ObjectKind, options: WatcherOptions): Reflector {
    const { client, log, served, remove, observe } = options;
    return new Reflector({
      client,
      paths: collectionPaths(kind),
      events: {
        apply: (raw) => {
          const key = keyOfObject(raw);
          if (key === undefined) return;
          observe(kind, key, raw, this.intake.take(kind, key, raw));
        },
        remove: (key) => {
          this.intake.forget(kind, key);
          remove(kind, key);
        },
        synced: (path) => {
          if (path !== undefined) served.answered(kind, path);
          this.unsynced.delete(kind);
        },
        failed: (error) => log.warn('watch failed', { kind, status: error.status, reason: error.message }),
      },
    });
  }
}
