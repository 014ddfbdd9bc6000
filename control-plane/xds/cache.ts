/** Encoded resources, each made once for all who get the same, and made anew only after something touched it. */
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { Change } from './change.ts';

/** Who asks, as far as it makes a difference to the answer. */
export interface XdsClient {
  readonly namespace: string;
  readonly podKey: string;
  readonly features: { readonly http2: boolean; readonly locality?: boolean; readonly connect?: boolean };
  /** A process without a pod: told whom to believe, and nothing of who is where. */
  readonly trustAlone?: boolean;
}

export interface EncodedResource {
  readonly version: string;
  /** `google.protobuf.Any`, for state-of-the-world. */
  readonly any: Uint8Array;
  /** `envoy.service.discovery.v3.Resource`, for delta. */
  readonly resource: Uint8Array;
}

export interface ResourceSource {
  scope(kind: ResourceKind, name: string, client: XdsClient): string;
  encode(kind: ResourceKind, name: string, client: XdsClient): EncodedResource | undefined;
  /** Resources of one group change together; a listener's group is that of its pod. */
  group(kind: ResourceKind, name: string, podKey: string): string;
  /** Every name of a kind, for clients that subscribe to all of them. */
  names(kind: ResourceKind, client: XdsClient): readonly string[];
}

export interface CacheEntry extends EncodedResource {
  /** Grows with each new content, over all resources. */
  readonly sequence: number;
}

interface Slot {
  entry: CacheEntry | undefined;
  stale: boolean;
}

export interface CacheCounters {
  translated: number;
  encodedAnew: number;
  evicted: number;
  failed: number;
}

export class ResourceCache {
  readonly counters: CacheCounters = { translated: 0, encodedAnew: 0, evicted: 0, failed: 0 };
  private readonly source: ResourceSource;
  private readonly slotsMax: number;
  private readonly onFault: (resource: string, fault: unknown) => void;
  /** In order of use: the first is the one to go when the cache is full. */
  private readonly slots = new Map<string, Slot>();
  private readonly groups = new Map<string, Set<string>>();
  private readonly groupOfSlot = new Map<string, string>();
  private sequence = 0;

  constructor(
    source: ResourceSource,
    onFault: (resource: string, fault: unknown) => void = () => undefined,
    slotsMax = 200_000,
  ) {
    this.source = source;
    this.onFault = onFault;
    this.slotsMax = slotsMax;
  }

  get size(): number {
    return this.slots.size;
  }

  get latestSequence(): number {
    return this.sequence;
  }

  get(kind: ResourceKind, name: string, client: XdsClient): CacheEntry | undefined {
    const key = `${kind} ${this.source.scope(kind, name, client)} ${name}`;
    const slot = this.slots.get(key);
    if (slot !== undefined && !slot.stale) return slot.entry;
    this.counters.translated += 1;
    let made: EncodedResource | undefined;
    try {
      made = this.source.encode(kind, name, client);
    } catch (fault) {
      // A bug met by one resource must not stop the others; what is held of this one goes on serving.
      this.counters.failed += 1;
      this.onFault(key, fault);
      if (slot !== undefined) slot.stale = false;
      return slot?.entry;
    }
    if (made === undefined) {
      // Names of nothing are anybody's to make up: they take no room here.
      if (slot !== undefined) this.drop(key);
      return undefined;
    }
    if (slot?.entry !== undefined && slot.entry.version === made.version) {
      slot.stale = false;
      return slot.entry;
    }
    this.counters.encodedAnew += 1;
    this.sequence += 1;
    const entry = { ...made, sequence: this.sequence };
    this.put(key, this.group(kind, name, client.podKey), entry);
    return entry;
  }

  group(kind: ResourceKind, name: string, podKey: string): string {
    return this.source.group(kind, name, podKey);
  }

  names(kind: ResourceKind, client: XdsClient): readonly string[] {
    return this.source.names(kind, client);
  }

  invalidate(change: Change): void {
    if (change.everything) {
      for (const slot of this.slots.values()) slot.stale = true;
      return;
    }
    for (const group of change.groups) {
      for (const key of this.groups.get(group) ?? []) {
        const slot = this.slots.get(key);
        if (slot !== undefined) slot.stale = true;
      }
    }
  }

  private put(key: string, group: string, entry: CacheEntry): void {
    this.slots.set(key, { entry, stale: false });
    this.groupOfSlot.set(key, group);
    const keys = this.groups.get(group);
    if (keys === undefined) this.groups.set(group, new Set([key]));
    else keys.add(key);
    if (this.slots.size <= this.slotsMax) return;
    const [oldest] = this.slots.keys();
    if (oldest === undefined) return;
    this.drop(oldest);
    this.counters.evicted += 1;
  }

  private drop(key: string): void {
    this.slots.delete(key);
    const group = this.groupOfSlot.get(key);
    this.groupOfSlot.delete(key);
    if (group === undefined) return;
    const keys = this.groups.get(group);
    keys?.delete(key);
    if (keys?.size === 0) this.groups.delete(group);
  }
}
