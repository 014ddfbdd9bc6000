import type { Key } from './keys.ts';

/** What is tried in the order of its number. */
export interface Candidates {
  /** The number of the first that matches and comes before `best`, else `best`. */
  tried(numbers: readonly number[], best: number): number;
}

interface Node {
  /** What leads here from the node above. */
  readonly label: string;
  readonly children: Map<number, Node>;
  /** Ascending. */
  readonly prefix: number[];
  readonly exact: number[];
}

const node = (label: string): Node => ({ label, children: new Map(), prefix: [], exact: [] });

/** Numbers by what a text is, or begins with. Looking one up takes time in the length of the text alone. */
export class KeyTree {
  private root = node('');

  /** Numbers come in ascending order. */
  add({ kind, value }: Key, number: number): void {
    let at = this.root;
    let pos = 0;
    while (pos < value.length) {
      const child = at.children.get(value.charCodeAt(pos));
      if (child === undefined) {
        const leaf = node(value.slice(pos));
        at.children.set(value.charCodeAt(pos), leaf);
        at = leaf;
        break;
      }
      const common = commonLength(child.label, value, pos);
      at = common === child.label.length ? child : split(at, child, common);
      pos += common;
    }
    const numbers = at[kind];
    if (numbers.at(-1) !== number) numbers.push(number);
  }

  /** The first of those whose key the text up to `end` has. */
  first(text: string, end: number, candidates: Candidates, before: number): number {
    let best = before;
    let at = this.root;
    let pos = 0;
    for (;;) {
      if (at.prefix.length > 0) best = candidates.tried(at.prefix, best);
      if (pos === end) return at.exact.length > 0 ? candidates.tried(at.exact, best) : best;
      const child = at.children.get(text.charCodeAt(pos));
      if (child === undefined || pos + child.label.length > end || !text.startsWith(child.label, pos)) return best;
      pos += child.label.length;
      at = child;
    }
  }
}

function commonLength(label: string, value: string, from: number): number {
  let length = 0;
  while (length < label.length && label.charCodeAt(length) === value.charCodeAt(from + length)) length++;
  return length;
}

/** A node for the part that two keys have in common. */
function split(parent: Node, child: Node, at: number): Node {
  const upper = node(child.label.slice(0, at));
  parent.children.set(child.label.charCodeAt(0), upper);
  upper.children.set(child.label.charCodeAt(at), { ...child, label: child.label.slice(at) });
  return upper;
}
