import type { IntOrString } from '../client/objects.ts';

/** The arithmetic of a Deployment's rollout, free of objects and I/O. */

export interface RolloutBounds {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
}

export interface SetView {
  readonly name: string;
  readonly desired: number;
  /** Pods that exist. */
  readonly replicas: number;
  readonly ready: number;
  readonly available: number;
}

interface RolloutInput {
  readonly replicas: number;
  readonly bounds: RolloutBounds;
  readonly recreate: boolean;
  readonly current: SetView;
  /** Oldest first. */
  readonly old: readonly SetView[];
  /** Pods of old sets that still exist, ended or not. */
  readonly oldPods: number;
}

function resolve(value: IntOrString | undefined, replicas: number, roundUp: boolean): number {
  const given = value ?? '25%';
  if (typeof given === 'number') return Math.max(0, given);
  const percent = /^(\d+)%$/.exec(given)?.[1];
  if (percent === undefined) return Math.max(0, Number.parseInt(given, 10) || 0);
  const exact = (Number(percent) * replicas) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}

/** apps/v1: a surge is rounded up, the unavailable down, and both must not be 0 or nothing could ever move. */
export function rolloutBounds(
  update: { readonly maxSurge?: IntOrString; readonly maxUnavailable?: IntOrString } | undefined,
  replicas: number,
): RolloutBounds {
  const maxSurge = resolve(update?.maxSurge, replicas, true);
  const maxUnavailable = Math.min(replicas, resolve(update?.maxUnavailable, replicas, false));
  return maxSurge === 0 && maxUnavailable === 0 ? { maxSurge, maxUnavailable: 1 } : { maxSurge, maxUnavailable };
}

const sum = (sets: readonly SetView[], pick: (set: SetView) => number): number =>
  sets.reduce((total, set) => total + pick(set), 0);

/** The next size of each set. Applied again and again as pods come and go, it ends with `current` at full size and the others at 0. */
export function nextSizes(input: RolloutInput): ReadonlyMap<string, number> {
  const sizes = new Map([input.current, ...input.old].map((set) => [set.name, set.desired]));
  if (input.recreate) {
    for (const set of input.old) sizes.set(set.name, 0);
    if (input.oldPods === 0) sizes.set(input.current.name, input.replicas);
    return sizes;
  }
  const { replicas, bounds, current, old } = input;
  if (current.desired > replicas) sizes.set(current.name, replicas);
  else {
    const room = replicas + bounds.maxSurge - current.desired - sum(old, (set) => set.desired);
    sizes.set(current.name, Math.min(replicas, current.desired + Math.max(0, room)));
  }
  shrinkOld(input, sizes);
  return sizes;
}

function shrinkOld(input: RolloutInput, sizes: Map<string, number>): void {
  const { replicas, bounds, current, old } = input;
  const minAvailable = replicas - bounds.maxUnavailable;
  const newSize = sizes.get(current.name) ?? 0;
  const newUnavailable = Math.max(0, newSize - current.available);
  const total = newSize + sum(old, (set) => set.desired);
  let removable = total - minAvailable - newUnavailable;
  if (removable <= 0) return;
  // Pods that serve nobody go first: removing them costs no availability.
  for (const set of old) {
    const size = sizes.get(set.name) ?? 0;
    const broken = Math.min(Math.max(0, size - set.available), removable);
    sizes.set(set.name, size - broken);
    removable -= broken;
  }
  const available = current.available + sum(old, (set) => set.available);
  let spare = Math.min(removable, Math.max(0, available - minAvailable));
  for (const set of old) {
    const size = sizes.get(set.name) ?? 0;
    const step = Math.min(size, spare);
    sizes.set(set.name, size - step);
    spare -= step;
  }
}
