import { builtinResources } from './builtin.ts';
import { groupVersion, type ResourceType } from './resource.ts';

/** All resources served now: the built-in ones and those of established definitions. */
interface GroupVersions {
  readonly group: string;
  /** Preferred first. */
  readonly versions: readonly string[];
}

const keyOf = (group: string, version: string, plural: string): string => `${group}/${version}/${plural}`;

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name. */
export function compareVersions(a: string, b: string): number {
  const parse = (text: string) => /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(text);
  const [x, y] = [parse(a), parse(b)];
  if (x === null || y === null) return x === y ? (a < b ? -1 : 1) : x === null ? 1 : -1;
  const rank = (match: RegExpExecArray) => (match[2] === undefined ? 2 : match[2] === 'beta' ? 1 : 0);
  if (rank(x) !== rank(y)) return rank(y) - rank(x);
  if (x[1] !== y[1]) return Number(y[1]) - Number(x[1]);
  return Number(y[3] ?? 0) - Number(x[3] ?? 0);
}

export class Registry {
  readonly #byPath = new Map<string, ResourceType>();
  readonly #custom = new Map<string, readonly ResourceType[]>();
  readonly #preferred = new Map<string, ResourceType>();
  #generation = 0;

  constructor() {
    for (const type of builtinResources) this.#add(type);
  }

  /** Changes whenever something is added or removed: caches of documents key on it. */
  get generation(): number {
    return this.#generation;
  }

  #add(type: ResourceType): void {
    this.#byPath.set(keyOf(type.group, type.version, type.plural), type);
    const known = this.#preferred.get(type.storage);
    // core/v1 Event and not events.k8s.io's is the one that speaks for the storage.
    if (known === undefined || (known.group === type.group && compareVersions(type.version, known.version) < 0)) {
      this.#preferred.set(type.storage, type);
    }
    this.#generation++;
  }

  setCustom(definition: string, types: readonly ResourceType[]): void {
    this.removeCustom(definition);
    this.#custom.set(definition, types);
    for (const type of types) this.#add(type);
  }

  removeCustom(definition: string): readonly ResourceType[] {
    const types = this.#custom.get(definition) ?? [];
    for (const type of types) {
      this.#byPath.delete(keyOf(type.group, type.version, type.plural));
      this.#preferred.delete(type.storage);
    }
    this.#custom.delete(definition);
    this.#generation++;
    return types;
  }

  find(group: string, version: string, plural: string): ResourceType | undefined {
    return this.#byPath.get(keyOf(group, version, plural));
  }

  findKind(group: string, kind: string, version?: string): ResourceType | undefined {
    let found: ResourceType | undefined;
    for (const type of this.#byPath.values()) {
      if (type.group !== group || type.kind !== kind) continue;
      if (type.version === version) return type;
      found ??= type;
    }
    return version === undefined ? found : undefined;
  }

  /** The type by which stored objects of a storage key are handled inside the server. */
  ofStorage(storage: string): ResourceType | undefined {
    return this.#preferred.get(storage);
  }

  all(): ResourceType[] {
    return [...this.#byPath.values()];
  }

  preferredTypes(): ResourceType[] {
    return [...this.#preferred.values()];
  }

  in(group: string, version: string): ResourceType[] {
    return this.all().filter((type) => type.group === group && type.version === version);
  }

  groups(): GroupVersions[] {
    const versions = new Map<string, Set<string>>();
    for (const type of this.#byPath.values()) {
      const known = versions.get(type.group) ?? new Set();
      versions.set(type.group, known.add(type.version));
    }
    return [...versions].map(([group, set]) => ({ group, versions: [...set].sort(compareVersions) }));
  }

  groupVersions(): string[] {
    return [...new Set(this.all().map(groupVersion))];
  }
}
