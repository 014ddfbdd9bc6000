/**
 * Finds the policy that decides without trying them all. Each policy is filed under keys one of which every request has
 * that it matches; those under the keys that a request does have are tried, in their order. What is found is what trying
 * one policy after the other would find, the name of the rule included.
 */
import { ipDigits } from '../../net/addresses.ts';
import { pathLength } from '../../route/path.ts';
import type { Subject } from '../subject.ts';
import { type Candidates, KeyTree } from './key-tree.ts';
import { type Dimension, dimensions, type Key, type KeySet } from './keys.ts';

export interface Tried {
  matches(subject: Subject): boolean;
}

interface Filed<T extends Tried> {
  readonly policy: T;
  readonly keySets: readonly KeySet[];
}

const labelOf = (dimension: Dimension, { kind, value }: Key): string => `${dimension} ${kind} ${value}`;

/** For each key how many policies could be filed under it. */
function countKeys(all: readonly Filed<Tried>[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { keySets } of all) {
    for (const { dimension, keys } of keySets) {
      for (const key of keys) {
        const label = labelOf(dimension, key);
        counts.set(label, (counts.get(label) ?? 0) + 1);
      }
    }
  }
  return counts;
}

export class PolicyIndex<T extends Tried> implements Candidates {
  private readonly policies: readonly T[];
  /** Of which nothing is known beforehand. */
  private readonly always: number[] = [];
  private readonly trees = new Map<Dimension, KeyTree>();
  private readonly inUse: readonly Dimension[];
  private subject: Subject | undefined = undefined;

  constructor(all: readonly Filed<T>[]) {
    this.policies = all.map(({ policy }) => policy);
    const counts = countKeys(all);
    // The set whose fullest key has the fewest policies.
    const crowd = ({ dimension, keys }: KeySet): number =>
      Math.max(...keys.map((key) => counts.get(labelOf(dimension, key)) ?? 0));
    all.forEach(({ keySets }, number) => {
      const [best] = keySets.toSorted((a, b) => crowd(a) - crowd(b));
      if (best === undefined) this.always.push(number);
      else for (const key of best.keys) this.treeOf(best.dimension).add(key, number);
    });
    this.inUse = dimensions.filter((dimension) => this.trees.has(dimension));
  }

  private treeOf(dimension: Dimension): KeyTree {
    const known = this.trees.get(dimension);
    if (known !== undefined) return known;
    const made = new KeyTree();
    this.trees.set(dimension, made);
    return made;
  }

  first(subject: Subject): T | undefined {
    this.subject = subject;
    const none = this.policies.length;
    let best = this.tried(this.always, none);
    for (const dimension of this.inUse) {
      const text = textOf(dimension, subject);
      if (text === undefined) continue;
      const end = dimension === 'path' ? pathLength(text) : text.length;
      best = this.trees.get(dimension)?.first(text, end, this, best) ?? best;
    }
    this.subject = undefined;
    return this.policies[best];
  }

  tried(numbers: readonly number[], best: number): number {
    const { subject } = this;
    if (subject === undefined) return best;
    for (const number of numbers) {
      if (number >= best) return best;
      if (this.policies[number]?.matches(subject) === true) return number;
    }
    return best;
  }
}

/** Undefined: no key of the dimension holds. */
function textOf(dimension: Dimension, { connection, head, clientIp }: Subject): string | undefined {
  switch (dimension) {
    case 'identity':
      return connection.peer?.spiffeId;
    case 'path':
      return head?.path;
    case 'authority':
      return head?.authority.toLowerCase();
    case 'address':
      return ipDigits(connection.remoteIp);
    case 'client':
      return ipDigits(clientIp ?? connection.remoteIp);
  }
}
