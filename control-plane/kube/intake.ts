/** The door through which objects of the API server come in: what cannot be read opens nothing of what serves. */
import { isCoreKind } from '../index/core.ts';
import { type MeshObject, type ObjectKind, parseObject } from '../index/objects.ts';
import type { Report } from './report.ts';
import { remainder } from './unreadable.ts';

interface IntakeOptions {
  readonly log: Report;
  readonly apply: (object: MeshObject) => void;
  /** Whether a version of the object is in force. */
  readonly holds: (kind: ObjectKind, key: string) => boolean;
}

/** Why an object was not taken, and what holds in its place. */
export interface NotTaken {
  readonly reason: string;
  readonly holds: 'the last good version' | 'what can be read of it' | 'nothing';
}

export class Intake {
  readonly counters = { invalid: 0 };
  private readonly options: IntakeOptions;
  /** Objects of which only what could be read holds, since no version of them was good. */
  private readonly remainders = new Set<string>();

  constructor({ log, apply, holds }: IntakeOptions) {
    this.options = { log, apply, holds };
  }

  /** How many objects hold by what can be read of them alone. */
  get closed(): number {
    return this.remainders.size;
  }

  /** Undefined: it was taken. */
  take(kind: ObjectKind, key: string, raw: unknown): NotTaken | undefined {
    const parsed = parseObject(kind, isCoreKind(kind) ? raw : withoutNoise(raw));
    if (!parsed.ok) {
      // Admission keeps such objects out, but for those that it let in by an earlier schema.
      this.counters.invalid += 1;
      return this.notTaken(kind, key, raw, parsed.error);
    }
    this.forget(kind, key);
    this.options.apply(parsed.value);
    return undefined;
  }

  forget(kind: ObjectKind, key: string): void {
    this.remainders.delete(`${kind} ${key}`);
  }

  private notTaken(kind: ObjectKind, key: string, raw: unknown, reason: string): NotTaken {
    const { log, apply, holds } = this.options;
    const name = `${kind} ${key}`;
    if (holds(kind, key) && !this.remainders.has(name)) {
      log.warn('object not taken; its last good version stays', { kind, key, reason });
      return { reason, holds: 'the last good version' };
    }
    const left = remainder(kind, withoutNoise(raw));
    if (left !== undefined) {
      this.remainders.add(name);
      apply(left);
    }
    if (!this.remainders.has(name)) {
      log.warn('object not taken; there is no version of it before', { kind, key, reason });
      return { reason, holds: 'nothing' };
    }
    log.warn('object not taken; what can be read of it holds, and the rest closed', { kind, key, reason });
    return { reason, holds: 'what can be read of it' };
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
