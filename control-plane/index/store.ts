/** Objects of one kind by key, with secondary indices that are kept in step. */

const nothing: ReadonlySet<string> = new Set();

type Indexers<T, Name extends string> = Readonly<Record<Name, (object: T) => readonly string[]>>;

export class ObjectStore<T, Name extends string = never> {
  private readonly objects = new Map<string, T>();
  private readonly indexers: readonly (readonly [Name, (object: T) => readonly string[]])[];
  private readonly indices = new Map<Name, Map<string, Set<string>>>();

  constructor(indexers: Indexers<T, Name>) {
    const names = Object.keys(indexers) as Name[];
    this.indexers = names.map((name) => [name, indexers[name]]);
    for (const name of names) this.indices.set(name, new Map());
  }

  get size(): number {
    return this.objects.size;
  }

  get(key: string): T | undefined {
    return this.objects.get(key);
  }

  values(): IterableIterator<T> {
    return this.objects.values();
  }

  entries(): IterableIterator<[string, T]> {
    return this.objects.entries();
  }

  keys(): IterableIterator<string> {
    return this.objects.keys();
  }

  /** Keys filed under a value, in no particular order: whoever cares for order sorts. */
  keysBy(index: Name, value: string): ReadonlySet<string> {
    return this.indices.get(index)?.get(value) ?? nothing;
  }

  by(index: Name, value: string): T[] {
    const found: T[] = [];
    for (const key of [...this.keysBy(index, value)].sort()) {
      const object = this.objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Returns what was there before. */
  set(key: string, object: T): T | undefined {
    const before = this.delete(key);
    this.objects.set(key, object);
    for (const [name, valuesOf] of this.indexers) {
      const index = this.indices.get(name);
      for (const value of valuesOf(object)) {
        const keys = index?.get(value);
        if (keys === undefined) index?.set(value, new Set([key]));
        else keys.add(key);
      }
    }
    return before;
  }

  delete(key: string): T | undefined {
    const before = this.objects.get(key);
    if (before === undefined) return undefined;
    this.objects.delete(key);
    for (const [name, valuesOf] of this.indexers) {
      const index = this.indices.get(name);
      for (const value of valuesOf(before)) {
        const keys = index?.get(value);
        keys?.delete(key);
        if (keys?.size === 0) index?.delete(value);
      }
    }
    return before;
  }
}
